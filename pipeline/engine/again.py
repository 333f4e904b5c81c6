"""Going back in a run: have stages run again, or go on from there in a run of its own."""

import shutil
from collections.abc import Collection, Iterable, Iterator

import msgspec

from pipeline.core import values
from pipeline.core.decide import TakeBack
from pipeline.core.events import (
    Answered,
    ApprovalAsked,
    ConditionAnswered,
    Effect,
    Event,
    ItemsFound,
    LoopFinished,
    Noted,
    Outcome,
    PersonEdited,
    RunStarted,
    StageFinished,
    StageStarted,
)
from pipeline.core.state import RunState, fold
from pipeline.engine import flows
from pipeline.engine.commits import recompose
from pipeline.engine.look import load_plan, load_state, require_run
from pipeline.engine.open import exclusive, open_journal
from pipeline.engine.world import World
from pipeline.errors import UsageProblem
from pipeline.files import atomic, journal
from pipeline.files.failpoints import reached
from pipeline.files.rundir import RunDir
from pipeline.ids import run_id, same_name
from pipeline.language.diagnostics import did_you_mean
from pipeline.language.plan import Plan
from pipeline.process import launch

_OF_STAGES = (StageStarted, StageFinished, ConditionAnswered, ItemsFound, ApprovalAsked, Answered)


def find_node(state: RunState, word: str) -> str:
    """Return the stage or group of that name. Raises `UsageProblem` when there is none."""
    found = next((name for name in state.plan.nodes if same_name(name, word)), None)
    if found is None:
        raise UsageProblem(
            f"there is no stage {word!r} in this run", did_you_mean(word, state.plan.nodes)
        )
    return found


def retry(world: World, name: str, word: str) -> list[str]:
    """Take a stage and everything that builds on it back; the run can then go on.

    Return what was taken back.
    """
    rundir = require_run(world, name)
    with exclusive(world, rundir):
        state = load_state(world, name)
        stage = find_node(state, word)
        if Effect.PUSH in state.effects or Effect.BRANCH in state.effects:
            raise UsageProblem(
                f"run {name} is published; its branch is not written a second time",
                f"Go on from there in a run of its own: pipeline fork {name} --from {stage}",
            )
        stages = values.closure(state, [stage])
        if others := values.in_the_way(state, stages):
            raise UsageProblem(
                f"{', '.join(others)} failed and would end the run again",
                f"Type: pipeline retry {name} {others[0]}",
            )
        with open_journal(rundir) as opened:
            opened.append(_end_orphans(world, rundir, state, stages), durable=True)
            command = TakeBack(tuple(stages), (), f"{stage} again, as a person asked")
            opened.append(
                [recompose(world.store(), opened.events, state, command, world.clock())],
                durable=True,
            )
    return [one for one in stages if state.plan.nodes[one].is_leaf]


def _end_orphans(
    world: World, rundir: RunDir, state: RunState, stages: Iterable[str]
) -> list[Event]:
    """End what a process that died has left running of these stages."""
    ended: list[Event] = []
    for stage in stages:
        if (attempt := state.running.get(stage)) is not None:
            launch.end_orphan(rundir.attempt(stage, attempt))
            reason = "ended, to run again"
            ended.append(
                StageFinished(
                    at=world.clock(),
                    stage=stage,
                    attempt=attempt,
                    outcome=Outcome.CANCELLED,
                    reason=reason,
                )
            )
    return ended


def fork(world: World, name: str, word: str, *, reload: bool) -> tuple[str, list[str]]:
    """Make a run that has what this one did before a stage.

    Return its id and the stages it inherits.

    With `reload` the new run takes flow and prompts as they are in the checkout now.
    """
    rundir = require_run(world, name)
    state = load_state(world, name)
    if state.started is None:
        raise UsageProblem(f"run {name} has not begun")
    stage = find_node(state, word)
    gone = set(values.closure(state, [stage]))
    now = world.clock()
    new = world.rundir(run_id(now, world.randomness(4)))
    plan = _plan_for(world, rundir, state.started, reload=reload)
    old = journal.read(rundir.journal)
    kept = list(_inherited(old, state, plan, gone, name))
    done = [event.stage for event in kept if isinstance(event, StageFinished)]
    new.create()
    if reload:
        flows.pin(world, new, plan)
    else:
        shutil.copytree(rundir.flow, new.flow, dirs_exist_ok=True)
        atomic.write_bytes(new.plan, msgspec.json.encode(plan))
    for one in done:
        if rundir.accepted(one).is_dir():
            shutil.copytree(rundir.accepted(one), new.accepted(one), dirs_exist_ok=True)
    started = msgspec.structs.replace(state.started, at=now, run_id=new.run_id, forked_from=name)
    left = (*gone, *(one for one in state.nodes if not _is_known(plan, one)))
    composed = recompose(world.store(), old, state, TakeBack(left, (), f"forked from {name}"), now)
    if composed.commit:
        world.store().set_ref(f"refs/runs/{new.run_id}/inherited", composed.commit, "")
    for (
        event
    ) in kept:  # their trees are needed as long as this run is, also when the other one is gone
        if isinstance(event, StageFinished | PersonEdited) and event.commit:
            world.store().set_ref(f"refs/runs/{new.run_id}/from/{event.commit}", event.commit, "")
    begun = msgspec.structs.replace(composed, stages=())
    note = Noted(
        at=now, text=f"forked from {name} at {stage}; inherited: {', '.join(done) or 'nothing'}"
    )
    request = rundir.folder / "feature_request.md"
    if request.is_file():
        text = request.read_text(errors="replace").replace(name, new.run_id)
        atomic.write_text(new.folder / "feature_request.md", text)
    with open_journal(new) as opened:
        opened.append([started, *kept, begun, note], durable=True)
    reached("run.created")
    return new.run_id, done


def _plan_for(world: World, rundir: RunDir, started: RunStarted, *, reload: bool) -> Plan:
    return flows.compiled(world, started.workflow) if reload else load_plan(rundir.plan)


def _inherited(
    events: Iterable[Event], state: RunState, plan: Plan, gone: set[str], name: str
) -> Iterator[Event]:
    """Go through the events of the main workflow's stages that stay.

    For each, the attempt that was accepted.
    """
    accepted = {
        stage: memory.last.attempt
        for stage, memory in state.nodes.items()
        if memory.last is not None and memory.over and stage not in gone
    }
    for event in events:
        if isinstance(event, PersonEdited | LoopFinished):
            if isinstance(event, PersonEdited) or (
                event.passed and _is_known(plan, event.loop, gone)
            ):
                yield event
        elif isinstance(event, _OF_STAGES):
            if event.stage in gone or state.plan.nodes[event.stage].workflow != state.plan.workflow:
                continue
            if not _is_known(plan, event.stage) or _is_question(state, event):
                continue
            if (
                isinstance(event, StageStarted | StageFinished)
                and accepted.get(event.stage) != event.attempt
            ):
                continue
            if isinstance(event, StageFinished):
                yield msgspec.structs.replace(event, inherited=event.inherited or name)
            elif not isinstance(event, StageStarted):
                yield event


def _is_question(state: RunState, event: Event) -> bool:
    """Tell whether an event asks or answers what an agent wanted to know.

    That belongs to its attempt alone.
    """
    return (
        isinstance(event, ApprovalAsked | Answered)
        and state.plan.nodes[event.stage].approval is None
    )


def _is_known(plan: Plan, stage: str, gone: Collection[str] = ()) -> bool:
    """Tell whether a plan has this stage, or the foreach that it belongs to, and it is not gone."""
    if stage in gone:
        return False
    parts = stage.split(":")
    heads = (":".join(parts[:length]) for length in range(1, len(parts)))
    return stage in plan.nodes or any(
        head in plan.nodes and plan.nodes[head].body for head in heads
    )


def reload(world: World, rundir: RunDir) -> None:
    """Give a run the flow and prompts of the checkout.

    Raises `UsageProblem` when it has stages that are gone.
    """
    events = journal.read(rundir.journal)
    old = fold(load_plan(rundir.plan), events)
    plan = flows.compiled(world, old.plan.workflow)
    used = {event.stage for event in events if isinstance(event, StageStarted)}
    lost = sorted(
        name for name in used & set(load_plan(rundir.plan).nodes) if name not in plan.nodes
    )
    if lost:
        raise UsageProblem(
            f"the flow has no stage {lost[0]!r} any more, and this run has worked on it",
            f"Take up the new flow in a run of its own: pipeline fork {rundir.run_id} --from STAGE --reload",
        )
    flows.pin(world, rundir, plan)


def outdated(state: RunState, stale: dict[str, str]) -> TakeBack | None:
    """Say what has to run again because of what changed since.

    None when nothing has, or all is published.
    """
    if not stale or Effect.BRANCH in state.effects:
        return None
    stages = values.closure(state, stale)
    reason = "; ".join(f"{stage}: {what} changed since" for stage, what in stale.items())
    return TakeBack(tuple(stages), (), reason)
