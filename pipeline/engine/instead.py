"""What an agent says instead of doing its work.

Questions to a person, or that it is all there already.

An agent's word is a claim here, too: the places it names must exist, or the attempt has failed.
"""

import re

import msgspec

from pipeline.backends.base import Answer, LastWord, last_word
from pipeline.core.events import Outcome
from pipeline.engine.task import Found, Task
from pipeline.language.flow import FailureKind, May
from pipeline.repo.store import Store

_PLACE = re.compile(r"(?P<file>[^:]+)(?::(?P<line>\d+))?(?:-\d+)?")
_SHOWN = 5


def found(task: Task, so_far: Found, answer: Answer, store: Store, base_tree: str) -> Found | None:
    """Return what becomes of the attempt when its agent says such a thing.

    None when it says nothing of the kind.
    """
    said = answer.instead or (last_word(answer.text) if task.node.may else None)
    if said is None:
        return None
    if said.status == "questions":
        return _asks(task, so_far, said)
    return _declines(task, so_far, said, store, base_tree)


def _asks(task: Task, so_far: Found, said: LastWord) -> Found:
    questions = [" ".join(text.split()) for text in said.questions if text.strip()]
    if May.ASK not in task.node.may or not questions:
        why = "it may not (`may: [ask]`)" if questions else "it asked nothing"
        return _wrong(so_far, f"the agent wants to ask a person, and {why}")
    return msgspec.structs.replace(
        so_far, outcome=Outcome.ASKS, reason=" / ".join(questions[:_SHOWN]), changed=()
    )


def _declines(task: Task, so_far: Found, said: LastWord, store: Store, base_tree: str) -> Found:
    if May.DECLINE not in task.node.may:
        return _wrong(
            so_far, "the agent says it is there already, and it may not say so (`may: [decline]`)"
        )
    if not said.where:
        return _wrong(so_far, "the agent says it is there already, and names no place")
    for place in said.where:
        if not _exists(place, store, base_tree):
            return _wrong(
                so_far,
                f"the agent says it is there already, in {place}, and there is no such place",
            )
    reason = f"it is there already: {', '.join(said.where[:_SHOWN])}" + (
        f" ({said.summary})" if said.summary else ""
    )
    return msgspec.structs.replace(so_far, outcome=Outcome.NEEDLESS, reason=reason, changed=())


def _exists(place: str, store: Store, tree: str) -> bool:
    """Tell whether a file, and the line if one is named, is in a tree."""
    match = _PLACE.fullmatch(place.strip())
    text = store.read(tree, match["file"]) if match is not None else None
    if match is None or text is None:
        return False
    return 1 <= int(match["line"] or 1) <= max(1, text.count(b"\n") + 1)


def _wrong(so_far: Found, reason: str) -> Found:
    return msgspec.structs.replace(
        so_far, outcome=Outcome.FAILED, kind=FailureKind.PROTOCOL, reason=reason
    )
