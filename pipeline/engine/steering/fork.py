"""Going on from a stage in a run of its own, which inherits the results of the stages before it."""

import shutil
from collections.abc import Collection, Iterable, Iterator

from msgspec import json
from msgspec.structs import replace

from pipeline.core import values
from pipeline.core.decide import TakeBack
from pipeline.core.events import (
    Answered,
    ApprovalAsked,
    ConditionAnswered,
    Event,
    ItemsFound,
    LoopFinished,
    Noted,
    PersonEdited,
    StageFinished,
)
from pipeline.core.state import RunState
from pipeline.engine.ground import flows
from pipeline.engine.ground.lookup import load_plan, load_state, require_run
from pipeline.engine.ground.record import create_record
from pipeline.engine.ground.stages import find_stage
from pipeline.engine.ground.world import World
from pipeline.engine.running.commits import recompose
from pipeline.engine.running.handed_on import handed_on
from pipeline.files import atomic, journal
from pipeline.files.failpoints import reached
from pipeline.files.rundir import REQUEST, RunDir
from pipeline.ids import run_id
from pipeline.language.plan import Plan


def fork(world: World, name: str, word: str, *, reload: bool) -> tuple[str, list[str]]:
    """Make a run that has what this one did before a stage.

    Return its id and the stages it inherits. With `reload` the new run takes flow and prompts as
    they are in the checkout now.
    """
    rundir, state = require_run(world, name), load_state(world, name)
    stage = find_stage(state.plan.nodes.values(), word)[0].id
    gone = set(values.closure(state, [stage]))
    now, old = world.clock(), journal.read(rundir.journal)
    new = world.rundir(run_id(now, world.randomness(4)))
    plan = _pin_flow(world, rundir, new, state, reload=reload)
    kept = list(_inherited(old, state, plan, gone, name))
    done = [event.stage for event in kept if isinstance(event, StageFinished)]
    for one in done:
        if rundir.accepted(one).is_dir():
            shutil.copytree(rundir.accepted(one), new.accepted(one), dirs_exist_ok=True)
    left = (*gone, *(one for one in state.nodes if not _is_known(plan, one)))
    taken_back = TakeBack(left, (), f"forked from {name}")
    store = world.store()
    composed = recompose(store, old, state, taken_back, now)
    if composed.commit:
        store.set_ref(f"refs/runs/{new.run_id}/inherited", composed.commit, "")
    for event in kept:  # needed as long as the new run is, also when the old one is gone
        if isinstance(event, StageFinished | PersonEdited) and event.commit:
            store.set_ref(f"refs/runs/{new.run_id}/from/{event.commit}", event.commit, "")
    _copy_request(rundir, new)
    started = replace(
        state.started,
        at=now,
        run_id=new.run_id,
        forked_from=name,
        state_folder=str(world.repo_state),
    )
    inherits = ", ".join(done) or "nothing"
    note = Noted(at=now, text=f"forked from {name} at {stage}; inherited: {inherits}")
    again = tuple(one for one in plan.nodes if one in gone)
    composed = replace(composed, stages=again, feedback=handed_on(state, again))
    with create_record(world, new, plan, started, *kept, composed, note):
        reached("run.created")
    return new.run_id, done


def _pin_flow(world: World, rundir: RunDir, new: RunDir, state: RunState, *, reload: bool) -> Plan:
    """Make the new run's folders, with the flow it follows; return its plan."""
    if reload:
        flow = flows.read(world)
        plan = flows.compiled(world, flow, state.started.workflow)
        new.create()
        flows.pin(flow, new, plan)
        return plan
    plan = load_plan(rundir.plan)
    new.create()
    shutil.copytree(rundir.flow, new.flow, dirs_exist_ok=True)
    atomic.write_bytes(new.kept_plan, json.encode(plan))
    return plan


def _copy_request(rundir: RunDir, new: RunDir) -> None:
    request = rundir.folder / REQUEST
    if request.is_file():
        text = request.read_text(errors="replace").replace(rundir.run_id, new.run_id)
        atomic.write_text(new.folder / REQUEST, text)


def _inherited(
    events: Iterable[Event], state: RunState, plan: Plan, gone: set[str], name: str
) -> Iterator[Event]:
    """Yield the events of the main workflow's stages that stay: of each the accepted attempt."""
    accepted = {
        stage: memory.last.attempt
        for stage, memory in state.nodes.items()
        if memory.last is not None and memory.is_over and stage not in gone
    }
    for event in events:
        match event:
            case PersonEdited():
                yield event
            case LoopFinished(passed=True) if _is_known(plan, event.loop, gone):
                yield event
            case StageFinished() if accepted.get(event.stage) == event.attempt:
                if _is_kept(state, plan, event, gone):
                    yield replace(event, inherited=event.inherited or name)
            case ConditionAnswered() | ItemsFound() | ApprovalAsked() | Answered():
                if _is_kept(state, plan, event, gone):
                    yield event
            case _:
                pass


def _is_kept(
    state: RunState,
    plan: Plan,
    event: StageFinished | ConditionAnswered | ItemsFound | ApprovalAsked | Answered,
    gone: set[str],
) -> bool:
    """Return whether the new run has the stage of an event, and inherits what happened to it."""
    if event.stage in gone or not _is_known(plan, event.stage):
        return False
    is_main = state.plan.nodes[event.stage].workflow == state.plan.workflow
    return is_main and not _is_question(state, event)


def _is_question(state: RunState, event: Event) -> bool:
    """Return whether an event is about what an agent wanted to know: that is its attempt's own."""
    if not isinstance(event, ApprovalAsked | Answered):
        return False
    return state.plan.nodes[event.stage].approval is None


def _is_known(plan: Plan, stage: str, gone: Collection[str] = ()) -> bool:
    """Return whether a plan has this stage, or the foreach it belongs to, and keeps it."""
    if stage in gone:
        return False
    parts = stage.split(":")
    heads = (":".join(parts[:length]) for length in range(1, len(parts)))
    return stage in plan.nodes or any(
        head in plan.nodes and plan.nodes[head].body for head in heads
    )
