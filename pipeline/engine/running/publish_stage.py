"""The stage that publishes: under its locks, with what hinders it put on record."""

from collections.abc import Callable

from pipeline.core.outcomes import Outcome, StopReason
from pipeline.core.state import RunState
from pipeline.engine.ground.world import World
from pipeline.engine.running.task import AttemptResult
from pipeline.errors import Busy, NeedsPerson, Problem, UsageProblem
from pipeline.files import locks
from pipeline.files.locks import LockBusy
from pipeline.files.rundir import RunDir
from pipeline.language.flow import FailureKind
from pipeline.language.plan import Node

Publish = Callable[[Node], str]
"""Publishes the run's tree as a stage says; returns the result in words. Raises `Problem`."""


def publish_stage(
    world: World, rundir: RunDir, state: RunState, node: Node, publish: Publish
) -> AttemptResult:
    """Publish while the stage's locks are held; what others can remove parks the stage."""
    declared = state.plan.locks
    paths = [one for name in node.locks for one in rundir.locks(name, declared[name].scope)]
    try:
        with locks.hold(
            paths,
            run_id=rundir.run_id,
            agent="engine",
            stage=node.id,
            timeout_s=world.settings.lock_timeout_s,
            now=world.clock,
        ):
            reason = publish(node)
            return AttemptResult(outcome=Outcome.DONE, reason=reason, agent="engine")
    except Problem as exc:
        stop = _stop_of(exc)
        return AttemptResult(
            outcome=Outcome.FAILED if stop is None else Outcome.PARKED,
            kind=FailureKind.MISSING,
            stop=stop,
            reason=exc.what,
            hint=exc.hint,
        )


def _stop_of(problem: Problem) -> StopReason | None:
    """Return why publishing waits; None for a problem that nobody can remove."""
    match problem:
        case LockBusy():
            return StopReason.LOCK_HELD
        case Busy():
            return StopReason.NO_ROOM
        case NeedsPerson():
            return StopReason.ANSWER_WANTED
        case UsageProblem():
            return StopReason.PUBLISH_REFUSED
        case _:
            return None
