"""Which stage a person means by a word: a stage's name, or the role that plays it."""

from collections.abc import Iterable

from pipeline.core.memory import Status
from pipeline.core.state import RunState
from pipeline.errors import NothingToDo, UsageProblem
from pipeline.ids import is_same_name
from pipeline.language.diagnostics import did_you_mean
from pipeline.language.plan import Kind, Node


def find_stage(
    nodes: Iterable[Node],
    word: str,
    *,
    where: str = "this run",
    roles: bool = False,
    mode: str = "",
) -> list[Node]:
    """Return the nodes that a word means: of that name, else with `roles` of that role.

    Of several only those of a `mode`, if one is given. `where` says in errors what was searched.
    Raises `UsageProblem`, with what comes nearest, when there is none.
    """
    known = list(nodes)
    matches = [node for node in known if is_same_name(node.id, word)]
    if not matches and roles:
        matches = [
            node
            for node in known
            if node.player is not None and is_same_name(node.player.role, word)
        ]
    if not matches:
        kind = "stage or role" if roles else "stage"
        names = [node.id for node in known]
        raise UsageProblem(f"there is no {kind} {word!r} in {where}", did_you_mean(word, names))
    fitting = [node for node in matches if not mode or node.mode == mode]
    if not fitting:
        modes = [node.mode for node in matches if node.mode]
        raise UsageProblem(f"{word} has no mode {mode!r}", did_you_mean(mode, modes))
    return fitting


def find_invoked(state: RunState, word: str, mode: str, *, retry: bool) -> str:
    """Return the stage that a person wants to invoke; one that is not done goes first.

    Raises `UsageProblem` when there is none, `NothingToDo` when all are done and `retry` is false.
    """
    leaves = [node for node in state.plan.leaves() if node.kind is not Kind.APPROVAL]
    matches = find_stage(leaves, word, roles=True, mode=mode)
    not_done = [node for node in matches if state.nodes[node.id].status is not Status.DONE]
    if not not_done and not retry:
        raise NothingToDo(f"{matches[0].id} is done", "Do it again: add --retry true")
    found = (not_done or matches)[0]
    open_needs = [need for need in found.needs if not state.nodes[need].is_over]
    if found.kind is Kind.PUBLISH and open_needs:
        run = state.started.run_id
        raise UsageProblem(
            f"{found.id} publishes what {', '.join(found.needs)} have passed, and "
            f"{open_needs[0]} is {state.nodes[open_needs[0]].status.value}",
            f"Let the run come to it: pipeline resume {run}",
        )
    return found.id
