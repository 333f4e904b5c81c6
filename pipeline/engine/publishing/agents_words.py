"""What testers and developers say of their work, for the pull request, marked as their words.

The engine has not checked any of it: what they decided, what they are unsure of, and which tests
they hold to be wrong.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from pipeline.core import values
from pipeline.core.state import RunState
from pipeline.files.rundir import ANSWER
from pipeline.language.flow import Schema
from pipeline.language.schemas import Objections

_ANSWER_CHARACTERS = 3_000


def answers(state: RunState, accepted: Callable[[str], Path]) -> Iterator[tuple[str, str]]:
    """Yield each stage that wrote tests or source, with its last answer, shortened."""
    for node in state.plan.leaves():
        path = accepted(node.id) / ANSWER
        if node.player is None or not node.writes or not path.is_file():
            continue
        said = path.read_text(errors="replace").strip()
        if node.workflow == state.course.active and said:
            cut = len(said) > _ANSWER_CHARACTERS
            yield node.id, said[:_ANSWER_CHARACTERS] + (" (shortened)" if cut else "")


def objections(state: RunState) -> Iterator[tuple[str, str, str]]:
    """Yield each objection that was raised last: the stage, the test, and why."""
    for stage, value in values.of_schema(state, Schema.OBJECTIONS):
        for one in msgspec.convert(value, Objections).objections:
            yield stage, one.test, one.why
