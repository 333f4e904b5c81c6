"""Commands that change nothing but the record, as the events that carry them out."""

from datetime import datetime

from pipeline.core import values
from pipeline.core.decide import (
    Ask,
    Command,
    EndLoop,
    Expire,
    Finish,
    Judge,
    NextRound,
    Park,
    StartWorkflow,
    Unfold,
)
from pipeline.core.events import (
    Answer,
    Answered,
    ApprovalAsked,
    ConditionAnswered,
    Event,
    ItemsFound,
    LoopFinished,
    RoundStarted,
    RunFinished,
    RunParked,
    WorkflowStarted,
)
from pipeline.core.outcomes import StopReason
from pipeline.core.state import RunState
from pipeline.language.expressions import Unanswerable


def event_of(command: Command, state: RunState, now: datetime) -> Event | None:  # noqa: PLR0911 - one case each
    """Return the event that carries a command out; None when the command needs more than that."""
    match command:
        case Judge(stage=stage, result=result, reason=reason):
            return ConditionAnswered(at=now, stage=stage, result=result, reason=reason)
        case Unfold(stage=stage, items=items, problem=problem):
            return ItemsFound(at=now, stage=stage, items=items, problem=problem)
        case Ask(stage=stage, until=until):
            return ApprovalAsked(
                at=now,
                stage=stage,
                tree=state.product.tree,
                question=_question(state, stage),
                until=until,
            )
        case Expire(stage=stage):
            return Answered(
                at=now, stage=stage, answer=Answer.EXPIRED, tree=state.agenda.asked[stage].tree
            )
        case NextRound(loop=loop, round=number, feedback=feedback):
            return RoundStarted(at=now, loop=loop, round=number, feedback=feedback)
        case EndLoop(loop=loop, passed=passed, reason=reason):
            return LoopFinished(at=now, loop=loop, passed=passed, reason=reason)
        case StartWorkflow(workflow=workflow, reason=reason):
            return WorkflowStarted(at=now, workflow=workflow, reason=reason)
        case Park(stop=stop, reason=reason, hint=hint):
            hint = _hint(state, stop) or hint
            return RunParked(at=now, stop=stop, reason=reason, hint=hint)
        case Finish(end=end, reason=reason):
            return RunFinished(at=now, end=end, reason=reason)
        case _:
            return None


def _question(state: RunState, stage: str) -> str:
    node = state.plan.nodes[stage]
    if node.approval is None:
        last = state.nodes[stage].last
        return last.reason if last is not None else ""
    text = node.approval.ask
    try:
        return values.fill(state, node, text)
    except Unanswerable:
        return text


def _hint(state: RunState, stop: StopReason) -> str:
    """Return what the person whom the run waits for can type; empty where nothing helps."""
    run = state.started.run_id
    match stop:
        case StopReason.ANSWER_WANTED if asked := state.agenda.asked:
            if any(state.plan.nodes[stage].approval is None for stage in asked):
                return f"Answer it: pipeline answer {run} -m '...' (or: pipeline answer {run} stop)"
            return f"Answer it: pipeline answer {run} approve | revise -m '...' | stop"
        case StopReason.LIMIT_REACHED:
            return f"Raise the limit: pipeline resume {run} --usd N (or --tokens N, --wall T)"
        case _:
            return ""
