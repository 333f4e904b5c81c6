"""Resuming a run: its record opened, its base verified, its loop run until it stops."""

import contextlib
import os
from collections.abc import Iterator, Sequence

from pipeline.core.events import Event, Invoked, RunOpened, StageStarted
from pipeline.core.memory import Status
from pipeline.core.outcomes import RunEnd
from pipeline.core.state import RunState
from pipeline.engine.ground import flows
from pipeline.engine.ground.lookup import load_plan, require_run
from pipeline.engine.ground.record import Record, exclusive, open_record
from pipeline.engine.ground.world import World
from pipeline.engine.publishing.publish import Publisher
from pipeline.engine.running.attempt import StageRunner
from pipeline.engine.running.basis import Bases
from pipeline.engine.running.edits import take_in_edits
from pipeline.engine.running.loop import RunLoop, Stop
from pipeline.engine.running.rerun import outdated, record_rerun
from pipeline.engine.running.workspaces import Workspaces
from pipeline.engine.starting import precheck
from pipeline.errors import NothingToDo, UsageProblem
from pipeline.files import journal
from pipeline.files.failpoints import reached
from pipeline.files.rundir import LATEST, RunDir
from pipeline.language.plan import Plan
from pipeline.process.launch import Launcher
from pipeline.prompts import templates
from pipeline.repo import objects
from pipeline.repo.store import PinnedBase, Store


def work(
    world: World, name: str, stop: Stop, first: Sequence[Event] = (), *, reload: bool = False
) -> RunState:
    """Work on a run until it is over, parked or stopped; return where it then stands.

    `first` is recorded when the run is taken up: with an `Invoked` among it only that stage is
    worked on. With `reload` the run takes the flow and prompts of the checkout first. Raises `Busy`
    when another process works on it, and `UsageProblem` for a base that cannot be set up or tested.
    """
    rundir = require_run(world, name)
    with exclusive(world, rundir):
        if reload:
            _reload(world, rundir)
        with open_record(world, rundir) as record:
            _work(world, rundir, record, stop, first)
            return record.state


def _work(world: World, rundir: RunDir, record: Record, stop: Stop, first: Sequence[Event]) -> None:
    state, store = record.state, world.store()
    bases = Bases(rundir, templates.read_all(rundir.flow / flows.PROMPTS))
    take_in_edits(world, store, rundir, record, bases)
    is_invoked = any(isinstance(event, Invoked) for event in first)
    stale = None if is_invoked else outdated(state, bases.stale(state))
    if state.end is not None and not is_invoked and stale is None:
        _repair_latest(rundir, state)
        raise NothingToDo(f"run {rundir.run_id} is over: {state.end.value}", _hint(state))
    record.add(RunOpened(at=world.clock(), pid=os.getpid()), *first)
    if stale is not None:
        record_rerun(store, record, bases, stale, world.clock())
    with _runner(world, rundir, record, store) as runner:
        publisher = Publisher(world, rundir, store, record)
        loop = RunLoop(world, rundir, record, store, runner, bases, publisher.publish)
        loop.take_requests()
        precheck.require_base(record, runner, world.clock)
        reached("baseline.done")
        loop.run(stop)


@contextlib.contextmanager
def _runner(world: World, rundir: RunDir, record: Record, store: Store) -> Iterator[StageRunner]:
    """Prepare what attempts need: the base's objects, workspaces, a launcher."""
    started = record.state.started
    objects.ensure_objects(world.user, store, started.base, started.run_id)
    store.set_ref(f"refs/runs/{started.run_id}/base", started.base, "")
    reached("base.pinned")
    base = PinnedBase(commit=started.base, tree=store.tree_of(started.base))
    tools = {name: value for name, value in started.tools.items() if value}
    with Launcher(rundir.work / "launcher.log") as launcher:
        workspaces = Workspaces(world, rundir, record.state.plan, store, launcher, tools, base)
        try:
            yield StageRunner(world, rundir, started, record.state.plan, workspaces, launcher, base)
        finally:
            workspaces.close(is_over=record.state.end is not None)


def _hint(state: RunState) -> str:
    """Return what can be done with a run that is over."""
    run = state.started.run_id
    failed = [
        node.id for node in state.plan.leaves() if state.nodes[node.id].status is Status.FAILED
    ]
    see = f"See it: pipeline show {run}"
    return f"{see}; do it again: pipeline retry {run} {failed[0]}" if failed else see


def _repair_latest(rundir: RunDir, state: RunState) -> None:
    """Let `latest` show a run that was killed right at its end, unless a later one is shown."""
    if state.end is RunEnd.DONE:
        link = rundir.root / LATEST
        current = link.readlink().name if link.is_symlink() else ""
        if current < rundir.run_id:
            rundir.switch_latest()


def _reload(world: World, rundir: RunDir) -> None:
    """Give a run the flow and prompts of the checkout.

    Raises `UsageProblem` when it has worked on stages that are gone.
    """
    old: Plan = load_plan(rundir.plan)
    flow = flows.read(world)
    plan = flows.compiled(world, flow, old.workflow)
    events = journal.read(rundir.journal)
    used = {event.stage for event in events if isinstance(event, StageStarted)}
    lost = sorted(name for name in used & set(old.nodes) if name not in plan.nodes)
    if lost:
        again = f"pipeline fork {rundir.run_id} --from STAGE --reload"
        raise UsageProblem(
            f"the flow has no stage {lost[0]!r} any more, and this run has worked on it",
            f"Take up the new flow in a run of its own: {again}",
        )
    flows.pin(flow, rundir, plan)
