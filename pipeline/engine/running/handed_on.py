"""What a run that goes back hands on to the stages that run again: what failed, what was found."""

from collections.abc import Iterable, Iterator

import msgspec

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
    for node in state.plan.leaves():
        for name, output in node.outputs.items():
            value = state.product.values.get(node.id, {}).get(name)
            if output.schema is Schema.DIAGNOSIS and value is not None:
                found = msgspec.convert(value, Diagnosis)
                yield f"{node.id} says: {found.cause}"
                yield from (f"next step, as {node.id} says: {step}" for step in found.next_steps)
