"""Having a stage of a run run again, with everything that builds on it."""

from collections.abc import Iterable

from pipeline.core import values
from pipeline.core.decide import TakeBack
from pipeline.core.events import Event, StageFinished
from pipeline.core.outcomes import Outcome
from pipeline.core.state import RunState
from pipeline.engine.ground.lookup import require_run
from pipeline.engine.ground.record import exclusive, open_record
from pipeline.engine.ground.stages import find_stage
from pipeline.engine.ground.world import World
from pipeline.engine.running.commits import recompose
from pipeline.engine.running.handed_on import handed_on
from pipeline.errors import UsageProblem
from pipeline.files.rundir import RunDir
from pipeline.process import launch


def retry(world: World, name: str, word: str) -> list[str]:
    """Take a stage and everything that builds on it back; the run can then go on.

    Return what was taken back. Raises `UsageProblem` when the run is published, or would fail all
    the same.
    """
    rundir = require_run(world, name)
    with exclusive(world, rundir), open_record(world, rundir) as record:
        state = record.state
        stage = find_stage(state.plan.nodes.values(), word)[0].id
        if state.effects.branch is not None or state.effects.push is not None:
            raise UsageProblem(
                f"run {name} is published; its branch is not written a second time",
                f"Go on from there in a run of its own: pipeline fork {name} --from {stage}",
            )
        stages = values.closure(state, [stage])
        if others := values.blocking_failures(state, stages):
            raise UsageProblem(
                f"{', '.join(others)} failed and would end the run again",
                f"Type: pipeline retry {name} {others[0]}",
            )
        record.add(*_end_orphans(world, rundir, state, stages))
        found = handed_on(state, stages)
        command = TakeBack(tuple(stages), found, f"{stage} again, as a person asked")
        record.add(recompose(world.store(), record.events, state, command, world.clock()))
        return [one for one in stages if state.plan.nodes[one].is_leaf]


def _end_orphans(
    world: World, rundir: RunDir, state: RunState, stages: Iterable[str]
) -> list[Event]:
    """End what a process that died has left running of these stages."""
    ended: list[Event] = []
    for stage in stages:
        if (attempt := state.agenda.running.get(stage)) is not None:
            launch.end_orphan(rundir.attempt(stage, attempt))
            event = StageFinished(
                at=world.clock(),
                stage=stage,
                attempt=attempt,
                outcome=Outcome.CANCELLED,
                reason="ended, to run again",
            )
            ended.append(event)
    return ended
