"""Going back: which stages run again, and the run's indexes rebuilt to match."""

from collections.abc import Collection, Iterable

import msgspec

from pipeline.core.memory import NodeState, Status
from pipeline.core.progress import activate, fail_run, plan_follow_up
from pipeline.core.retry import Used
from pipeline.core.state import RunState
from pipeline.language.plan import Kind, Node


def invoke(run: RunState, stage: str) -> None:
    """Take a stage that a person invokes back to pending, with the groups around it.

    What failed because of it is pending again, too.
    """
    _reopen_not_started(run)
    _reopen_failed(run, stage)
    for group in run.plan.around(stage):
        state = run.nodes[group.id]
        state.status, state.is_over, state.reason = Status.PENDING, False, ""
    _return_to_main(run, stage)


def _reopen_not_started(run: RunState) -> None:
    """Take up again what the end of the run found not begun."""
    for name in run.course.not_started:
        run.nodes[name].status, run.nodes[name].reason = Status.PENDING, ""
    run.course.not_started.clear()


def _reopen_failed(run: RunState, stage: str) -> None:
    state = run.nodes[stage]
    state.status, state.is_over, state.is_sent_back, state.reason = Status.PENDING, False, False, ""
    state.has_question, state.revisions = False, 0
    run.agenda.asked.pop(stage, None)
    state.parked, state.not_before = None, None
    state.used = Used()
    for dependent in run.dependents.get(stage, ()):
        if run.nodes[dependent].status is Status.FAILED:
            _reopen_failed(run, dependent)


def take_back(run: RunState, stages: Iterable[str], feedback: tuple[str, ...]) -> None:
    """Forget what these nodes have done; `feedback` is what they are given when they run again."""
    taken = set(stages)
    _reopen_not_started(run)
    for name in taken:
        node = run.plan.nodes[name]
        old = run.nodes[name]
        inside = (inner.id for inner in run.plan.below(name))
        is_whole = node.kind is Kind.FOREACH and taken.issuperset(inside)
        if is_whole:
            run.plan.nodes[name] = msgspec.structs.replace(node, children=())
        run.nodes[name] = NodeState(
            unmet=1,
            remaining=0,
            attempts=old.attempts,
            calls=old.calls,
            spent=old.spent,
            feedback=(*feedback, *_still_wrong(run, node, taken)),
            value=old.value,
            is_unfolded=old.is_unfolded and not is_whole,
            revisions=old.revisions if node.kind is Kind.APPROVAL else 0,
            replies=old.replies,
        )
        run.agenda.asked.pop(name, None)
    _skip_old_items(run)
    for name in taken:
        _return_to_main(run, name)


def _still_wrong(run: RunState, loop: Node, taken: Collection[str]) -> tuple[str, ...]:
    """Return what the failed `until` of a loop has said, where that is not taken back too."""
    is_red = (
        loop.until is not None and loop.until not in taken and run.nodes[loop.until].is_sent_back
    )
    return run.nodes[loop.id].feedback if is_red else ()


def _skip_old_items(run: RunState) -> None:
    """Leave out the items of a foreach whose list is made anew."""
    kept = {child for node in run.plan.nodes.values() for child in node.children}
    for node in run.plan.nodes.values():
        if node.item and run.plan.nodes[node.item].id not in kept:
            run.nodes[node.id].status = Status.SKIPPED


def _return_to_main(run: RunState, stage: str) -> None:
    """Let the main workflow go on, and let what looks for causes look anew."""
    course, main = run.course, run.plan.workflow
    if run.plan.nodes[stage].workflow != main or not (course.followed or course.active != main):
        return
    course.active = main
    course.followed.clear()
    for node in run.plan.nodes.values():
        if node.workflow != main:
            run.agenda.asked.pop(node.id, None)
            run.add_node(node, run.nodes[node.id])


def rebuild(run: RunState) -> None:
    """Make all indexes anew from where the nodes stand."""
    run.course.follow_up = None
    for node in run.plan.nodes.values():
        state = run.nodes[node.id]
        state.unmet = 1 + sum(not run.nodes[need].is_over for need in node.needs)
        state.remaining = sum(not run.nodes[child].is_over for child in node.children)
        is_running = state.status is Status.RUNNING
        if is_running and not node.is_leaf and node.id not in run.agenda.running:
            state.status = Status.PENDING
    active, main = run.course.active, run.plan.workflow
    elsewhere = {
        name: asked
        for name, asked in run.agenda.asked.items()
        if run.plan.nodes[name].workflow != main
    }
    run.agenda.asked = {
        name: asked for name, asked in run.agenda.asked.items() if name not in elsewhere
    }
    activate(run, main)
    if _look_for_failures(run) and active != main:
        run.course.follow_up = None
        run.agenda.asked.update(elsewhere)
        activate(run, active)


def _look_for_failures(run: RunState) -> bool:
    """Fail a run whose main workflow has a failure that no loop has yet to decide.

    Return whether it has one.
    """
    run.course.failure = None
    for node in run.plan.nodes.values():
        state = run.nodes[node.id]
        has_failed = state.status in {Status.FAILED, Status.CANCELLED} and not state.is_over
        if has_failed and node.workflow == run.plan.workflow:
            _take_failure(run, node, state)
    return run.course.is_stopped


def _take_failure(run: RunState, node: Node, state: NodeState) -> None:
    loop = run.plan.decides_loop(node.id)
    if loop is None or not state.is_sent_back:
        plan_follow_up(run, node, state.reason)
        words = node.id if node.loop else f"{node.id} {state.status.value}"
        fail_run(run, node, f"{words}: {state.reason}")
    elif run.nodes[loop.id].status is not Status.FAILED:
        run.agenda.undecided.append(loop.id)
        for inner in run.below(loop.id):
            run.agenda.withdraw(inner)
