"""Ending a run, or one stage of it."""

from pipeline.core.events import (
    CancelRequested,
    Event,
    RunFinished,
    StageCancelled,
    StageFinished,
)
from pipeline.core.memory import Status
from pipeline.core.outcomes import Outcome, RunEnd
from pipeline.engine.ground import requests
from pipeline.engine.ground.lookup import holder, load_state, require_run
from pipeline.engine.ground.record import exclusive, open_record
from pipeline.engine.ground.stages import find_stage
from pipeline.engine.ground.world import World
from pipeline.errors import NothingToDo, UsageProblem
from pipeline.process import launch


def cancel(world: World, name: str, reason: str) -> str:
    """Ask for the end of a run, and end it here when nobody works on it; return what was done."""
    rundir = require_run(world, name)
    if (end := load_state(world, name).end) is not None:
        raise NothingToDo(f"run {name} is over already: {end.value}")
    now = world.clock()
    asked = requests.post(world, name, CancelRequested(at=now, reason=reason))
    if holder(world, name) is not None:
        return f"asked for the end of run {name}: {asked}"
    with exclusive(world, rundir), open_record(world, rundir) as record:
        ended: list[Event] = []
        for stage, attempt in record.state.agenda.running.items():
            launch.end_orphan(rundir.attempt(stage, attempt))
            cancelled = StageFinished(
                at=now, stage=stage, attempt=attempt, outcome=Outcome.CANCELLED, reason=reason
            )
            ended.append(cancelled)
        record.add(*ended, RunFinished(at=now, end=RunEnd.CANCELLED, reason=reason))
    return f"run {name} is cancelled"


def cancel_stage(world: World, name: str, word: str, reason: str) -> str:
    """Ask for the end of one stage; the run then fails, or goes on if the flow says so.

    Return what was done. Raises `NothingToDo` when the stage is over or will not start,
    `UsageProblem` when there is none, or it is a group.
    """
    state = load_state(world, name)
    node = find_stage(state.plan.nodes.values(), word)[0]
    memory, course = state.nodes[node.id], state.course
    is_over = memory.is_over or memory.status in {Status.FAILED, Status.CANCELLED}
    if state.end is not None or is_over:
        raise NothingToDo(f"{node.id} of run {name} is over: {memory.status.value}")
    will_not_start = course.is_stopped or node.workflow != course.active
    if node.id not in state.agenda.running and will_not_start:
        raise NothingToDo(
            f"{node.id} of run {name} will not be started any more",
            f"See why: pipeline explain {name}",
        )
    if not node.is_leaf:
        inside = [inner.id for inner in state.below(node.id) if inner.is_leaf]
        raise UsageProblem(
            f"{node.id} is a group", f"Name a stage inside it: {', '.join(inside[:8])}"
        )
    event = StageCancelled(at=world.clock(), stage=node.id, reason=reason)
    return f"{node.id}: cancel {requests.post(world, name, event)}"
