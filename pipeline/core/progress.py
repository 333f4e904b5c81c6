"""How nodes go forward: what waits for what, when a group is complete, what a failure stops.

Each function moves a `RunState` and keeps all its indexes up to date, so that a decision costs no
more than what changed.
"""

import re

from pipeline.core.events import StageFinished
from pipeline.core.memory import OPEN, NodeState, Status
from pipeline.core.outcomes import Outcome, RunEnd
from pipeline.core.state import Declined, Failure, FollowUp, RunState
from pipeline.language.flow import CONTINUE, FAIL
from pipeline.language.plan import Kind, Node

QUESTIONS_MAX = 3
"""How often a stage may ask persons before it fails."""

_VOLATILE = re.compile(
    r"\b0x[0-9a-f]+\b|:\d+(?::\d+)?\b|\bline \d+|\bpid \d+"
    r"|\b\d+(?:\.\d+)?\s?(?:ms|s|sec|seconds?)\b|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*|/tmp/\S+"
)
"""What differs between two runs that fail alike: places in files, times, processes. Other numbers
count: that two tests fail where three did is progress."""


def activate(run: RunState, workflow: str) -> None:
    """Begin (or go on with) a workflow."""
    run.course.active, run.course.is_stopped = workflow, False
    run.agenda.clear()
    roots = run.plan.roots[workflow]
    run.agenda.open_roots = sum(not run.nodes[root].is_over for root in roots)
    for root in roots:
        meet_need(run, root)


def meet_need(run: RunState, node_id: str) -> None:
    """Count one thing that the node waited for as there."""
    run.nodes[node_id].unmet -= 1
    advance(run, node_id)


def advance(run: RunState, node_id: str) -> None:
    """Let a node go on that waits for nothing any more; its condition, if any, comes first."""
    state = run.nodes[node_id]
    if state.unmet or state.status not in OPEN or node_id in run.agenda.asked:
        return
    node = run.plan.nodes[node_id]
    if _would_be_in_vain(run, node):
        return
    if node.when and not state.condition_holds:
        run.agenda.conditions.append(node_id)
    else:
        enter(run, node)


def _would_be_in_vain(run: RunState, node: Node) -> bool:
    undecided = run.agenda.undecided
    return run.course.is_stopped or (
        bool(undecided) and any(loop.id in undecided for loop in run.plan.loops_around(node.id))
    )


def enter(run: RunState, node: Node) -> None:
    """Let a stage be ready, and what is inside a group."""
    state = run.nodes[node.id]
    if node.is_leaf:
        make_ready(run, node)
        return
    state.status = Status.RUNNING
    if node.kind is Kind.FOREACH and not state.is_unfolded:
        run.agenda.unfolding.append(node.id)
        return
    for child in node.children:
        meet_need(run, child)
    if not state.remaining:
        _complete_group(run, node)


def make_ready(run: RunState, node: Node) -> None:
    """Let a leaf (or a group's gates) be started as soon as it can."""
    if _would_be_in_vain(run, node):
        return
    state = run.nodes[node.id]
    if node.kind is Kind.APPROVAL or state.has_question:
        run.agenda.questions.append(node.id)
    else:
        later = state.parked is not None or state.not_before is not None
        run.agenda.ready.add(node, later=later)


def retry_or_fail(run: RunState, node: Node, *, is_retried: bool) -> None:
    """Try a stage again, or take its failure as final."""
    if is_retried:
        run.nodes[node.id].status = Status.WAITING
        make_ready(run, node)
    else:
        fail(run, node, Status.FAILED)


def take_statement(run: RunState, node: Node, event: StageFinished) -> None:
    """Queue the question of a stage, or end the run because there is nothing to do.

    What looks for the cause of a failure cannot say so of the run: there the stage has failed.
    """
    state = run.nodes[node.id]
    if event.outcome is Outcome.ASKS:
        state.revisions += 1
        state.has_question = state.revisions <= QUESTIONS_MAX
        if not state.has_question:
            state.reason = f"it asked for the {state.revisions}th time; last: {state.reason}"
        retry_or_fail(run, node, is_retried=state.has_question)
    elif node.workflow != run.plan.workflow:
        fail(run, node, Status.FAILED)
    else:
        run.agenda.withdraw(node)
        state.status = Status.DONE
        run.course.declined = Declined(node=node.id, reason=event.reason)
        run.course.not_started.add(node.id)


def fail(run: RunState, node: Node, status: Status) -> None:
    """Take a stage's failure as final: go on without it if it may be missed, else fail the run."""
    state = run.nodes[node.id]
    state.status, state.has_question = status, False
    if node.on_failure == CONTINUE:
        finish(run, node, status)
        return
    plan_follow_up(run, node, state.reason)
    words = f"{node.id} {status.value}"
    fail_run(run, node, f"{words}: {state.reason}" if state.reason else words)


def fail_run(run: RunState, node: Node, reason: str) -> None:
    """Note that the run cannot succeed: nothing new is to start, and no question is open."""
    if run.course.failure is None:
        run.course.failure = Failure(node=node.id, reason=reason)
    run.course.is_stopped = True
    run.agenda.clear(loops=False)
    for stage in run.agenda.asked:
        run.nodes[stage].status, run.nodes[stage].reason = Status.PENDING, ""
    run.agenda.asked.clear()
    run.requests.revision = None


def send_round_back(run: RunState, loop: Node, feedback: tuple[str, ...], tree: str) -> None:
    """Queue the decision on a loop: its round has failed, and this is why."""
    failure = "\n".join(sorted(_VOLATILE.sub("#", line) for line in feedback))
    state = run.nodes[loop.id]
    state.history.append((failure, tree))
    state.feedback = feedback
    run.agenda.undecided.append(loop.id)
    for node in run.below(loop.id):
        run.agenda.withdraw(node)


def finish(run: RunState, node: Node, status: Status) -> None:
    """A node is over, one way or another: what needs it goes on, and its group may be complete."""
    state = run.nodes[node.id]
    state.status, state.is_over = status, True
    for dependent in run.dependents.get(node.id, ()):
        meet_need(run, dependent)
    if node.parent is None:
        run.agenda.open_roots -= node.workflow == run.course.active
        return
    parent, around = run.plan.nodes[node.parent], run.nodes[node.parent]
    around.remaining -= 1
    if not around.remaining and around.status is Status.RUNNING:
        _complete_group(run, parent)


def _complete_group(run: RunState, group: Node) -> None:
    """All of a group is over: its loop is decided, its gates are asked, or it is done too.

    The last one inside that is over, and whoever enters a group that is complete already, both come
    here.
    """
    if run.nodes[group.id].is_over or group.id in run.agenda.undecided:
        return
    if group.kind is Kind.LOOP:
        run.agenda.undecided.append(group.id)
    elif group.gates:
        make_ready(run, group)
    else:
        finish(run, group, Status.DONE)


def plan_follow_up(run: RunState, node: Node, reason: str) -> None:
    """Plan the workflow that looks for the cause, if the flow names one that has not run yet."""
    name = node.loop.on_exhausted if node.loop is not None else node.on_failure
    is_new = name not in run.course.followed and run.course.follow_up is None
    if name not in {FAIL, CONTINUE} and is_new:
        words = f"{node.id}: {reason}" if reason else f"{node.id} failed"
        run.course.follow_up = FollowUp(workflow=name, reason=words)


def status_at_end(run: RunState, node_id: str, end: RunEnd) -> Status:
    """Return the status of a stage that is not over when the run ends.

    One that waited to be tried again has failed.
    """
    state: NodeState = run.nodes[node_id]
    if end is RunEnd.CANCELLED and run.plan.nodes[node_id].workflow == run.course.active:
        return Status.CANCELLED
    has_failed = (
        state.status is Status.WAITING
        and state.last is not None
        and state.last.outcome is Outcome.FAILED
    )
    return Status.FAILED if has_failed else Status.SKIPPED
