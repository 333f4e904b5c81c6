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
    WorkflowStarted,
)
from pipeline.core.state import RunState
from pipeline.language.expressions import Unanswerable


def event_of(command: Command, state: RunState, now: datetime) -> Event | None:  # noqa: PLR0911 - one case each
    """Return the event that carries a command out; None when the command needs more than that."""
    match command:
        case Judge(stage=stage, verdict=verdict, reason=reason):
            return ConditionAnswered(at=now, stage=stage, verdict=verdict, reason=reason)
        case Unfold(stage=stage, items=items, problem=problem):
            return ItemsFound(at=now, stage=stage, items=items, problem=problem)
        case Ask(stage=stage, until=until):
            return ApprovalAsked(
                at=now, stage=stage, tree=state.tree, question=_question(state, stage), until=until
            )
        case Expire(stage=stage):
            return Answered(
                at=now, stage=stage, answer=Answer.EXPIRED, tree=state.asked[stage].tree
            )
        case NextRound(loop=loop, round=number, told=told):
            return RoundStarted(at=now, loop=loop, round=number, told=told)
        case EndLoop(loop=loop, passed=passed, reason=reason):
            return LoopFinished(at=now, loop=loop, passed=passed, reason=reason)
        case StartWorkflow(workflow=workflow, reason=reason):
            return WorkflowStarted(at=now, workflow=workflow, reason=reason)
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


def mend_for_person(state: RunState) -> str:
    """Say what the person types for whom the run waits."""
    name = state.started.run_id if state.started is not None else "RUN"
    if any(state.plan.nodes[stage].approval is None for stage in state.asked):
        return f"Answer it: pipeline answer {name} -m '...' (or: pipeline answer {name} stop)"
    if state.asked:
        return f"Answer it: pipeline answer {name} approve | revise -m '...' | stop"
    return f"Raise the limit: pipeline resume {name} --usd N (or --tokens N, --wall T)"
