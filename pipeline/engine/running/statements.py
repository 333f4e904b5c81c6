"""What an agent answers instead of working: questions, or that all is there already.

An agent's word is a claim here, too: the places it names must exist, or the attempt has failed.
"""

import re

from msgspec.structs import replace

from pipeline.backends.base import AgentReply, AlreadyExists, Finished, Questions, parse_statement
from pipeline.core.outcomes import Outcome
from pipeline.engine.running.task import AttemptResult, Task
from pipeline.language.flow import FailureKind, May
from pipeline.repo.store import Store

_PLACE = re.compile(r"(?P<file>[^:]+)(?::(?P<line>\d+))?(?:-\d+)?")
_SHOWN = 5


def statement_result(
    task: Task, so_far: AttemptResult, reply: AgentReply, store: Store, base_tree: str
) -> AttemptResult | None:
    """Return what becomes of an attempt whose agent says such a thing; None when it says none."""
    statement = reply.end
    if isinstance(statement, Finished) and task.node.may:
        statement = parse_statement(reply.text) or statement
    match statement:
        case Questions(questions=questions):
            return _ask(task, so_far, questions)
        case AlreadyExists():
            return _decline(task, so_far, statement, store, base_tree)
        case _:
            return None


def _ask(task: Task, so_far: AttemptResult, texts: tuple[str, ...]) -> AttemptResult:
    questions = [" ".join(text.split()) for text in texts if text.strip()]
    if May.ASK not in task.node.may or not questions:
        why = "it may not (`may: [ask]`)" if questions else "it asked nothing"
        return _refused(so_far, f"the agent wants to ask a person, and {why}")
    reason = " / ".join(questions[:_SHOWN])
    return replace(so_far, outcome=Outcome.ASKS, reason=reason, changed=())


def _decline(
    task: Task, so_far: AttemptResult, statement: AlreadyExists, store: Store, base_tree: str
) -> AttemptResult:
    if May.DECLINE not in task.node.may:
        why = "it may not say so (`may: [decline]`)"
        return _refused(so_far, f"the agent says it is there already, and {why}")
    if not statement.where:
        return _refused(so_far, "the agent says it is there already, and names no place")
    for place in statement.where:
        if not _exists(place, store, base_tree):
            what = f"the agent says it is there already, in {place}"
            return _refused(so_far, f"{what}, and there is no such place")
    summary = f" ({statement.summary})" if statement.summary else ""
    reason = f"it is there already: {', '.join(statement.where[:_SHOWN])}{summary}"
    return replace(so_far, outcome=Outcome.DECLINED, reason=reason, changed=())


def _exists(place: str, store: Store, tree: str) -> bool:
    """Return whether a file, and the line if one is named, is in a tree."""
    match = _PLACE.fullmatch(place.strip())
    text = store.read(tree, match["file"]) if match is not None else None
    if match is None or text is None:
        return False
    return 1 <= int(match["line"] or 1) <= max(1, text.count(b"\n") + 1)


def _refused(so_far: AttemptResult, reason: str) -> AttemptResult:
    return replace(so_far, outcome=Outcome.FAILED, kind=FailureKind.PROTOCOL, reason=reason)
