"""Going back.

Stages that are to run again, and all indexes of a run made anew from where its nodes then stand.
"""

from collections.abc import Iterable

import msgspec

from pipeline.core.memory import NodeState, Status
from pipeline.core.progress import Progress
from pipeline.language.plan import Kind, Node


def invite(run: Progress, stage: str) -> None:
    """Take a stage that a person invokes back to pending, with the groups around it and what failed because of it."""
    _pick_up(run)
    _take_back_failed(run, stage)
    for group in run.plan.around(stage):
        state = run.nodes[group.id]
        state.status, state.over, state.reason = Status.PENDING, False, ""
    _return_to_main(run, stage)


def _pick_up(run: Progress) -> None:
    """Take what the end of the run put aside as not begun again."""
    for name in run.put_aside:
        run.nodes[name].status, run.nodes[name].reason = Status.PENDING, ""
    run.put_aside.clear()


def _take_back_failed(run: Progress, stage: str) -> None:
    state = run.nodes[stage]
    state.status, state.over, state.red, state.reason = Status.PENDING, False, False, ""
    state.wonders, state.revisions = False, 0
    run.asked.pop(stage, None)
    state.parked, state.not_before = False, None
    state.tries = state.losses = state.waits = 0
    for dependent in run.dependents.get(stage, ()):
        if run.nodes[dependent].status is Status.FAILED:
            _take_back_failed(run, dependent)


def take_back(run: Progress, stages: Iterable[str], told: tuple[str, ...]) -> None:
    """Forget what these nodes have done; `told` is what they are told when they run again."""
    taken = set(stages)
    _pick_up(run)
    for name in taken:
        node = run.plan.nodes[name]
        old = run.nodes[name]
        whole = node.kind is Kind.FOREACH and taken.issuperset(
            inner.id for inner in run.plan.below(name)
        )
        if whole:
            run.plan.nodes[name] = msgspec.structs.replace(node, children=())
        run.nodes[name] = NodeState(
            unmet=1, remaining=0, attempts=old.attempts, told=told, value=old.value,
            unfolded=old.unfolded and not whole,
            revisions=old.revisions if node.kind is Kind.APPROVAL else 0,
            replies=old.replies,
        )  # fmt: skip
        run.asked.pop(name, None)
    _skip_old_items(run)
    for name in taken:
        _return_to_main(run, name)


def _skip_old_items(run: Progress) -> None:
    """Leave out the items of a foreach whose list is to be found anew."""
    kept = {child for node in run.plan.nodes.values() for child in node.children}
    for node in run.plan.nodes.values():
        if node.item and run.plan.nodes[node.item].id not in kept:
            run.nodes[node.id].status = Status.SKIPPED


def _return_to_main(run: Progress, stage: str) -> None:
    """Let the main workflow go on, and let what looks for causes look anew."""
    if run.plan.nodes[stage].workflow != run.plan.workflow or not (
        run.followed or run.active != run.plan.workflow
    ):
        return
    run.active = run.plan.workflow
    run.followed.clear()
    for node in run.plan.nodes.values():
        if node.workflow != run.plan.workflow:
            run.asked.pop(node.id, None)
            run.take_in(node, run.nodes[node.id])


def rebuild(run: Progress) -> None:
    """Make all indexes anew from where the nodes stand."""
    run.follow_up = None
    for node in run.plan.nodes.values():
        state = run.nodes[node.id]
        state.unmet = 1 + sum(not run.nodes[need].over for need in node.needs)
        state.remaining = sum(not run.nodes[child].over for child in node.children)
        if state.status is Status.RUNNING and not node.is_leaf and node.id not in run.running:
            state.status = Status.PENDING
    active = run.active
    of_others = {
        name: asked
        for name, asked in run.asked.items()
        if run.plan.nodes[name].workflow != run.plan.workflow
    }
    run.asked = {name: asked for name, asked in run.asked.items() if name not in of_others}
    run.activate(run.plan.workflow)
    if _find_failures(run) and active != run.plan.workflow:
        run.follow_up = None
        run.asked.update(of_others)
        run.activate(active)


def _find_failures(run: Progress) -> bool:
    """Doom a run whose main workflow has a failure that no loop has yet to judge.

    Tell whether it has.
    """
    run.doomed, run.doomed_by = None, ""
    for node in run.plan.nodes.values():
        state = run.nodes[node.id]
        failed = state.status in {Status.FAILED, Status.CANCELLED} and not state.over
        if failed and node.workflow == run.plan.workflow:
            _judge_failure(run, node, state)
    return run.stopped


def _judge_failure(run: Progress, node: Node, state: NodeState) -> None:
    loop = run.plan.decides_loop(node.id)
    if loop is None or not state.red:
        run.follow_failure(node, state.reason)
        run.doom(
            node,
            f"{node.id}: {state.reason}"
            if node.loop
            else f"{node.id} {state.status.value}: {state.reason}",
        )
    elif run.nodes[loop.id].status is not Status.FAILED:
        run.verdicts.append(loop.id)
        for inner in run.below(loop.id):
            run.unready(inner)
