"""What a run that goes back hands on to the stages that run again: what failed, what was found."""

from collections.abc import Iterable, Iterator

import msgspec

from pipeline.core import values
from pipeline.core.memory import Status
from pipeline.core.state import RunState
from pipeline.language.flow import Schema
from pipeline.language.schemas import Diagnosis


def handed_on(state: RunState, stages: Iterable[str]) -> tuple[str, ...]:
    """Return lines for the prompts of these stages: their failures, then the diagnosis."""
    lines: list[str] = []
    for name in stages:
        memory = state.nodes[name]
        if memory.status is Status.FAILED:
            lines += memory.feedback or ((memory.reason,) if memory.reason else ())
    return tuple(dict.fromkeys([*lines, *_diagnosis(state)]))


def _diagnosis(state: RunState) -> Iterator[str]:
    for stage, value in values.of_schema(state, Schema.DIAGNOSIS):
        found = msgspec.convert(value, Diagnosis)
        yield f"{stage} says: {found.cause}"
        yield from (f"next step, as {stage} says: {step}" for step in found.next_steps)
