"""What persons do to a run, folded: answers, and stages that are run, repeated or cancelled."""

from pipeline.core import going_back
from pipeline.core.events import Answer, Answered, Invoked, StageCancelled, TakenBack
from pipeline.core.memory import OPEN, Status
from pipeline.core.progress import advance, fail, finish, send_round_back
from pipeline.core.state import RunState
from pipeline.language.plan import Node

_NO = (Answer.STOP, Answer.EXPIRED)


def answered(run: RunState, event: Answered) -> None:
    """Take in an answer, unless it is about another tree than the one there is now."""
    asked, state = run.agenda.asked.get(event.stage), run.nodes[event.stage]
    is_outdated = run.product.tree != event.tree and event.answer is Answer.APPROVE
    if asked is None or asked.tree != event.tree or is_outdated:
        return
    if (event.answer is Answer.REPLY) is not state.has_question and event.answer not in _NO:
        return
    del run.agenda.asked[event.stage]
    node = run.plan.nodes[event.stage]
    by = f" by {event.by}" if event.by else ""
    comment = f": {event.comment}" if event.comment else ""
    state.reason = f"{event.answer.value}{by}{comment}"
    match event.answer:
        case Answer.APPROVE:
            run.product.approved[event.stage] = event.tree
            finish(run, node, Status.DONE)
        case Answer.REVISE:
            _revise(run, node, event)
        case Answer.REPLY:
            state.has_question, state.status = False, Status.WAITING
            reply = f"You asked: {asked.question} The answer of a person: {event.comment}"
            state.replies = (*state.replies, reply)
            advance(run, node.id)
        case Answer.STOP | Answer.EXPIRED:
            fail(run, node, Status.FAILED)


def _revise(run: RunState, node: Node, event: Answered) -> None:
    """Send back what a person rejected: by its loop if it decides one, else by running it again."""
    state, loop = run.nodes[node.id], run.plan.decides_loop(node.id)
    state.revisions += 1
    state.feedback = (event.comment or "a person wants it revised",)
    if loop is not None:
        state.status, state.is_sent_back = Status.FAILED, True
        send_round_back(run, loop, state.feedback, event.tree)
    elif node.approval is None or state.revisions > node.approval.revisions:
        state.reason = f"sent back {state.revisions} times; last: {state.feedback[0]}"
        fail(run, node, Status.FAILED)
    else:
        state.status = Status.WAITING
        run.requests.revision = event


def invoked(run: RunState, event: Invoked) -> None:
    """Take a stage back to pending, with the groups around it and what failed because of it."""
    _reopen(run)
    run.requests.only = event.stage
    run.requests.publish = run.requests.publish if event.publish is None else event.publish
    going_back.invoke(run, event.stage)
    going_back.rebuild(run)


def taken_back(run: RunState, event: TakenBack) -> None:
    """Take stages back to pending, on the tree without their change."""
    _reopen(run)
    run.requests.only, run.requests.revision = None, None
    run.product.tree, run.product.commit = event.tree, event.commit
    going_back.take_back(run, event.stages, event.feedback)
    for stage in event.stages:
        run.product.values.pop(stage, None)
        run.product.approved.pop(stage, None)
    going_back.rebuild(run)


def _reopen(run: RunState) -> None:
    run.finished, run.parked = None, None
    run.requests.cancel, run.course.declined = None, None


def stage_cancelled(run: RunState, event: StageCancelled) -> None:
    """Cancel a stage: ended if it runs, failed at once if it has not begun."""
    node, state = run.plan.nodes[event.stage], run.nodes[event.stage]
    is_current = node.workflow == run.course.active and not run.course.is_stopped
    if event.stage in run.agenda.running:
        run.requests.cancelled_stages[event.stage] = event.reason
    elif state.status in OPEN and is_current:
        state.reason = event.reason
        run.agenda.withdraw(node)
        fail(run, node, Status.CANCELLED)
