"""The whole scheduling policy: `decide(state, now, parallel) -> commands`, a pure function.

The engine carries the commands out and appends events; then it asks again. The rules, each with the
oracle and the tests that hold it, stand in `docs/reference/scheduling.md`. In short: a stage starts
when everything it needs is over, its condition holds, its locks are free, its budget is reserved
and a slot is free; nothing that waits keeps another from starting; what cannot be answered fails;
whatever happens, there is an end or somebody to wait for.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import IntEnum

import msgspec

from pipeline.core import values
from pipeline.core.events import Item, RunEnd, Verdict
from pipeline.core.memory import OPEN, Status
from pipeline.core.state import RunState
from pipeline.language.plan import Node


class Waits(IntEnum):
    """For whom a parked run waits, as the exit code that says so."""

    PERSON = 3
    OTHERS = 75


class Start(msgspec.Struct, frozen=True):
    """Run one attempt of a stage (for a group: check its gates)."""

    stage: str


class Cancel(msgspec.Struct, frozen=True):
    """End a running attempt; with `park` it is only put off."""

    stage: str
    park: bool = False


class Judge(msgspec.Struct, frozen=True):
    """A stage's `when` has its answer."""

    stage: str
    verdict: Verdict
    reason: str


class Unfold(msgspec.Struct, frozen=True):
    """A foreach has its items, or a problem."""

    stage: str
    items: tuple[Item, ...]
    problem: str


class Ask(msgspec.Struct, frozen=True):
    """Ask a person, about the tree as it is now."""

    stage: str
    until: datetime | None


class Expire(msgspec.Struct, frozen=True):
    """Nobody answered in time."""

    stage: str


class TakeBack(msgspec.Struct, frozen=True):
    """Have stages run again, with what a person said."""

    stages: tuple[str, ...]
    told: tuple[str, ...]
    reason: str


class NextRound(msgspec.Struct, frozen=True):
    """Send a loop around once more."""

    loop: str
    round: int
    told: tuple[str, ...]


class EndLoop(msgspec.Struct, frozen=True):
    """A loop is over."""

    loop: str
    passed: bool
    reason: str


class StartWorkflow(msgspec.Struct, frozen=True):
    """Start a follow-up workflow of the same run."""

    workflow: str
    reason: str


class WaitUntil(msgspec.Struct, frozen=True):
    """Nothing to do before this time."""

    at: datetime


class Park(msgspec.Struct, frozen=True):
    """Nothing can go on without somebody else; leave the run resumable."""

    reason: str
    waits: Waits = Waits.OTHERS


class Rest(msgspec.Struct, frozen=True):
    """The one stage that was asked for is over; leave the run as it is."""


class Finish(msgspec.Struct, frozen=True):
    """End the run."""

    end: RunEnd
    reason: str = ""


Command = (
    Start | Cancel | Judge | Unfold | Ask | Expire | TakeBack | NextRound | EndLoop | StartWorkflow | WaitUntil
    | Park | Rest | Finish
)  # fmt: skip


def decide(
    state: RunState, now: datetime, parallel: int, *, awake_s: float = 0.0, draining: bool = False
) -> list[Command]:
    """Say what to do next.

    `awake_s` is how long this process has been awake with the run; `draining` means: let what runs
    finish, start nothing (a polite stop).
    """
    if state.end is not None or state.started is None:
        return []
    if state.cancel is not None:
        stop: list[Command] = [Cancel(stage) for stage in state.running]
        return stop or [Finish(RunEnd.CANCELLED, state.cancel)]
    if state.needless is not None:
        rest: list[Command] = [Cancel(stage) for stage in state.running]
        return rest or [Finish(RunEnd.NEEDLESS, state.needless)]
    if draining:
        return []
    if state.only is not None:
        return _alone(state, state.only, now)
    ending: list[Command] = [Cancel(stage) for stage in state.ending if stage in state.running]
    return [*ending, *_going_on(state, now, parallel, awake_s)]


def _going_on(state: RunState, now: datetime, parallel: int, awake_s: float) -> list[Command]:
    wall_s = state.budget.wall_s
    if wall_s is not None and state.worked_s + awake_s >= wall_s:
        return _out_of_time(state, wall_s)
    if state.sent_back is not None and not state.stopped:
        return _send_back(state)
    if not state.stopped and (verdicts := _verdicts(state)):
        return verdicts
    if state.doomed is not None and (ending := _doomed(state)) is not None:
        return ending
    if answered := _answered(state):
        return answered
    if state.all_done:
        end = RunEnd.FAILED if state.doomed else RunEnd.DONE
        return [Finish(end, state.doomed or "")]
    return _starts(state, now, parallel)


def _out_of_time(state: RunState, wall_s: float) -> list[Command]:
    """Put off what runs, and leave the run to a person."""
    running: list[Command] = [Cancel(stage, park=True) for stage in state.running]
    limit = f"{wall_s:g} s" if wall_s < 60 else str(timedelta(seconds=round(wall_s)))
    return running or [
        Park(f"the run has been worked on for {limit}, its limit (wall)", Waits.PERSON)
    ]


def _send_back(state: RunState) -> list[Command]:
    """Have what a person sent back run again, once nothing that builds on it runs any more."""
    event = state.sent_back
    if event is None:
        return []
    stages = values.closure(state, (*state.plan.nodes[event.stage].needs, event.stage))
    running: list[Command] = [Cancel(stage) for stage in stages if stage in state.running]
    told = (event.comment or "a person wants it revised",)
    return running or [TakeBack(tuple(stages), told, f"{event.stage}: revise")]


def _answered(state: RunState) -> list[Command]:
    """Answer one condition that is asked now, or find the items of one foreach.

    Each may change what is asked next.
    """
    if state.conditions:
        stage = state.conditions[0]
        return [Judge(stage, *values.judge(state, state.plan.nodes[stage]))]
    if state.unfolding:
        stage = state.unfolding[0]
        return [Unfold(stage, *values.items(state, state.plan.nodes[stage]))]
    return []


def _alone(state: RunState, stage: str, now: datetime) -> list[Command]:
    """Run one stage to its end and nothing else."""
    memory = state.nodes[stage]
    if state.running:
        return []
    if memory.parked:
        return [Park(f"{stage} {memory.reason}")]
    if stage in state.asked:
        return [Park(f"{stage} waits for an answer", Waits.PERSON)]
    if memory.wonders:
        return [Ask(stage, None)]
    if memory.status not in OPEN:
        return [Rest()]
    if memory.not_before is not None and memory.not_before > now:
        return [WaitUntil(memory.not_before)]
    return [Start(stage)]


def _verdicts(state: RunState) -> list[Command]:
    """Decide the loops that wait for it, once nothing inside them runs."""
    for loop_id in state.verdicts:
        waits = any(node.id in state.running for node in state.below(loop_id))
        inside = any(outer.id in state.verdicts for outer in state.plan.loops_around(loop_id))
        if not waits and not inside:
            return [_verdict(state, state.plan.nodes[loop_id])]
    return []


def _verdict(state: RunState, node: Node) -> Command:
    loop, memory = node.loop, state.nodes[node.id]
    if loop is None or node.until is None or state.nodes[node.until].status is Status.DONE:
        return EndLoop(node.id, passed=True, reason=f"passed in round {memory.round}")
    recent = memory.history[-loop.no_progress :]
    if memory.round >= loop.max:
        return EndLoop(
            node.id, passed=False, reason=f"still not passed after {memory.round} round(s)"
        )
    if len(recent) >= loop.no_progress:
        if len({failure for failure, _ in recent}) == 1:
            reason = f"no progress: the same failure in {len(recent)} round(s)"
            return EndLoop(node.id, passed=False, reason=reason)
        if len({tree for _, tree in recent}) == 1:
            reason = f"no progress: the same tree in {len(recent)} round(s)"
            return EndLoop(node.id, passed=False, reason=reason)
    return NextRound(node.id, memory.round + 1, memory.told)


def _doomed(state: RunState) -> list[Command] | None:
    """Say how a run that cannot succeed ends; None while its follow-up workflow goes on."""
    if not state.stopped:
        return None
    if state.running:
        return []
    if state.follow_up is not None:
        return [StartWorkflow(state.follow_up, state.follow_up_reason)]
    return [Finish(RunEnd.FAILED, state.doomed or "")]


def _starts(state: RunState, now: datetime, parallel: int) -> list[Command]:
    """Start what can start; say when to look again, or for whom to wait when nothing can go on."""
    for stage, asked in state.asked.items():
        if asked.until is not None and asked.until <= now:
            return [Expire(stage)]
    asks, until = _asks(state, now)
    later = {stage: state.nodes[stage] for stage in state.ready.later}
    due = {
        stage
        for stage, memory in later.items()
        if (memory.not_before is None or memory.not_before <= now)
        and not (memory.parked and not state.running)
    }
    starts, refused = _startable(state, due, parallel - len(state.running))
    commands: list[Command] = [*asks, *starts]
    times = [
        memory.not_before
        for stage, memory in later.items()
        if stage not in due and not memory.parked
    ]
    if state.running:
        times += [
            memory.not_before for memory in later.values() if memory.parked and memory.not_before
        ]
    if wake := [at for at in (*times, *until) if at is not None and at > now]:
        commands.append(WaitUntil(min(wake)))
    if asks or starts or state.running or any(times):
        return commands
    return [
        _wait_for_somebody(
            state, [stage for stage, memory in later.items() if memory.parked], refused
        )
    ]


def _asks(state: RunState, now: datetime) -> tuple[list[Command], list[datetime | None]]:
    """Ask persons, for approval again when the tree is another.

    Return also until when they have time.
    """
    nodes = state.plan.nodes
    commands: list[Command] = [
        Ask(stage, _deadline(nodes[stage], now)) for stage in state.questions
    ]
    commands += [
        Ask(stage, asked.until)
        for stage, asked in state.asked.items()
        if asked.tree != state.tree and not state.nodes[stage].wonders
    ]
    return commands, [asked.until for asked in state.asked.values()]


def _deadline(node: Node, now: datetime) -> datetime | None:
    timeout = node.approval.timeout_s if node.approval is not None else None
    return None if timeout is None else now + timedelta(seconds=timeout)


def _startable(state: RunState, due: set[str], free: int) -> tuple[list[Start], str]:
    """Pick ready stages in declared order while slots, locks and budget last.

    Say what the budget refused.
    """
    held, refused = set(state.held), ""
    budget = msgspec.structs.replace(state.budget, reserved=dict(state.budget.reserved))
    starts: list[Start] = []
    if free <= 0:
        return starts, refused
    for stage in state.ready.in_order(due, held):
        node = state.plan.nodes[stage]
        refusal = budget.refusal(node)
        if refusal or (refused and node.player is not None):
            refused = refused or refusal
            continue
        budget.reserve(node)
        held.update(node.locks)
        starts.append(Start(stage))
        if len(starts) == free:
            break
    return starts, refused


def _wait_for_somebody(state: RunState, parked: Iterable[str], refused: str) -> Command:
    """Name all for whom the run waits; a person goes before others."""
    persons = [f"{stage} waits for an answer" for stage in state.asked]
    persons += [refused] if refused else []
    others = [f"{stage} {state.nodes[stage].reason}" for stage in parked]
    if persons:
        return Park("; ".join([*persons, *others]), Waits.PERSON)
    if others:
        return Park("; ".join(others))
    return Finish(RunEnd.FAILED, "nothing is left that could run")
