"""Which stage a person means by a word: its name, or the role that plays it."""

from pipeline.core.memory import Status
from pipeline.core.state import RunState
from pipeline.errors import NothingToDo, UsageProblem
from pipeline.ids import same_name
from pipeline.language.diagnostics import did_you_mean
from pipeline.language.plan import Kind


def find_stage(state: RunState, word: str, mode: str, *, retry: bool) -> str:
    """Return the stage of that name or role, in the mode if one is given.

    One that is not done goes first.

    Raises `UsageProblem` when there is none, `NothingToDo` when all are done and `retry` is false.
    """
    leaves = [node for node in state.plan.leaves() if node.kind is not Kind.APPROVAL]
    named = [node for node in leaves if same_name(node.id, word)]
    named = named or [
        node for node in leaves if node.player is not None and same_name(node.player.role, word)
    ]
    fitting = [node for node in named if not mode or node.mode == mode]
    if not fitting:
        words = (
            [node.mode for node in named if node.mode] if named else [node.id for node in leaves]
        )
        what = (
            f"{word} has no mode {mode!r}"
            if named
            else f"there is no stage or role {word!r} in this run"
        )
        raise UsageProblem(what, did_you_mean(mode if named else word, words))
    open_ones = [node for node in fitting if state.nodes[node.id].status is not Status.DONE]
    if not open_ones and not retry:
        raise NothingToDo(f"{fitting[0].id} is done", "Do it again: add --retry true")
    return (open_ones or fitting)[0].id
