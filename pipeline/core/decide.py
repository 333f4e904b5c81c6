"""The whole scheduling policy: `decide(state, now, parallel) -> commands`, a pure function.

The engine carries the commands out and appends events; then it asks again. The rules, each with the
oracle and the tests that hold it, stand in `docs/reference/scheduling.md`. In short: a stage starts
when everything it needs is over, its condition holds, its locks are free, its budget is reserved
and a slot is free; nothing that waits keeps another from starting; what cannot be answered fails;
whatever happens, there is an end or somebody to wait for.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from pipeline.core import values
from pipeline.core.events import Answered, ConditionResult, Item
from pipeline.core.memory import OPEN, Status
from pipeline.core.outcomes import PARK_ORDER, RunEnd, StopReason
from pipeline.core.state import Failure, RunState
from pipeline.language.plan import Node


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
    result: ConditionResult
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
    """Make stages run again, with what a person said."""

    stages: tuple[str, ...]
    feedback: tuple[str, ...]
    reason: str


class NextRound(msgspec.Struct, frozen=True):
    """Send a loop around once more."""

    loop: str
    round: int
    feedback: tuple[str, ...]


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

    stop: StopReason
    reason: str
    hint: str = ""


class Rest(msgspec.Struct, frozen=True):
    """The one stage that was asked for is over; leave the run as it is."""


class Finish(msgspec.Struct, frozen=True):
    """End the run."""

    end: RunEnd
    reason: str = ""


Command = (
    Start | Cancel | Judge | Unfold | Ask | Expire | TakeBack
    | NextRound | EndLoop | StartWorkflow | WaitUntil
    | Park | Rest | Finish
)  # fmt: skip


def decide(
    state: RunState, now: datetime, parallel: int, *, awake_s: float = 0.0, draining: bool = False
) -> list[Command]:
    """Return what to do next.

    `awake_s` is how long this process has been awake with the run; `draining` means: let what runs
    finish, start nothing (a polite stop).
    """
    if state.finished is not None:
        return []
    running, requests = state.agenda.running, state.requests
    if requests.cancel is not None:
        return _end(state, RunEnd.CANCELLED, requests.cancel)
    if (declined := state.course.declined) is not None:
        return _end(state, RunEnd.NOTHING_TO_DO, f"{declined.node}: {declined.reason}")
    if draining:
        return []
    if requests.only is not None:
        return _alone(state, requests.only, now)
    ending: list[Command] = [
        Cancel(stage) for stage in requests.cancelled_stages if stage in running
    ]
    return [*ending, *_going_on(state, now, parallel, awake_s)]


def _end(state: RunState, end: RunEnd, reason: str) -> list[Command]:
    """End what runs, and then the run."""
    running: list[Command] = [Cancel(stage) for stage in state.agenda.running]
    return running or [Finish(end, reason)]


def _going_on(state: RunState, now: datetime, parallel: int, awake_s: float) -> list[Command]:
    wall_s = state.budget.wall_s
    if wall_s is not None and state.time.earlier_s + awake_s >= wall_s:
        return _out_of_time(state, wall_s)
    is_stopped, failure = state.course.is_stopped, state.course.failure
    if state.requests.revision is not None and not is_stopped:
        return _send_back(state, state.requests.revision)
    if not is_stopped and (decisions := _loop_decisions(state)):
        return decisions
    if failure is not None and (ending := _failed(state, failure)) is not None:
        return ending
    if answered := _answered(state):
        return answered
    if state.is_all_over:
        return [Finish(RunEnd.FAILED, failure.reason) if failure else Finish(RunEnd.DONE)]
    return _starts(state, now, parallel)


def _out_of_time(state: RunState, wall_s: float) -> list[Command]:
    """Put off what runs, and leave the run to a person."""
    running: list[Command] = [Cancel(stage, park=True) for stage in state.agenda.running]
    limit = f"{wall_s:g} s" if wall_s < 60 else str(timedelta(seconds=round(wall_s)))
    reason = f"the run has been worked on for {limit}, its limit (wall)"
    return running or [Park(StopReason.LIMIT_REACHED, reason)]


def _send_back(state: RunState, event: Answered) -> list[Command]:
    """Make what a person sent back run again, once nothing that builds on it runs."""
    stages = values.closure(state, (*state.plan.nodes[event.stage].needs, event.stage))
    running: list[Command] = [Cancel(stage) for stage in stages if stage in state.agenda.running]
    feedback = (event.comment or "a person wants it revised",)
    return running or [TakeBack(tuple(stages), feedback, f"{event.stage}: revise")]


def _answered(state: RunState) -> list[Command]:
    """Answer one condition that is asked now, or find the items of one foreach.

    Each may change what is asked next.
    """
    if state.agenda.conditions:
        stage = state.agenda.conditions[0]
        return [Judge(stage, *values.judge(state, state.plan.nodes[stage]))]
    if state.agenda.unfolding:
        stage = state.agenda.unfolding[0]
        return [Unfold(stage, *values.items(state, state.plan.nodes[stage]))]
    return []


def _alone(state: RunState, stage: str, now: datetime) -> list[Command]:
    """Run one stage to its end and nothing else."""
    memory = state.nodes[stage]
    if state.agenda.running:
        return []
    if memory.parked is not None:
        return [Park(memory.parked, f"{stage} {memory.reason}", memory.hint)]
    if stage in state.agenda.asked:
        return [Park(StopReason.ANSWER_WANTED, f"{stage} waits for an answer")]
    if memory.has_question:
        return [Ask(stage, None)]
    if memory.status not in OPEN:
        return [Rest()]
    if memory.not_before is not None and memory.not_before > now:
        return [WaitUntil(memory.not_before)]
    return [Start(stage)]


def _loop_decisions(state: RunState) -> list[Command]:
    """Decide the loops that wait for it, once nothing inside them runs."""
    undecided = state.agenda.undecided
    for loop_id in undecided:
        waits = any(node.id in state.agenda.running for node in state.below(loop_id))
        inside = any(outer.id in undecided for outer in state.plan.loops_around(loop_id))
        if not waits and not inside:
            return [_loop_decision(state, state.plan.nodes[loop_id])]
    return []


def _loop_decision(state: RunState, node: Node) -> Command:
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
    return NextRound(node.id, memory.round + 1, memory.feedback)


def _failed(state: RunState, failure: Failure) -> list[Command] | None:
    """Return how a run that cannot succeed ends; None while its follow-up goes on."""
    if not state.course.is_stopped:
        return None
    if state.agenda.running:
        return []
    if (follow_up := state.course.follow_up) is not None:
        return [StartWorkflow(follow_up.workflow, follow_up.reason)]
    return [Finish(RunEnd.FAILED, failure.reason)]


def _starts(state: RunState, now: datetime, parallel: int) -> list[Command]:
    """Start what can start; say when to look again, or for whom to wait when nothing can go on."""
    for stage, asked in state.agenda.asked.items():
        if asked.until is not None and asked.until <= now:
            return [Expire(stage)]
    running = state.agenda.running
    asks, until = _asks(state, now)
    later = {stage: state.nodes[stage] for stage in state.agenda.ready.later}
    due = {
        stage
        for stage, memory in later.items()
        if (memory.not_before is None or memory.not_before <= now)
        and (memory.parked is None or running)
    }
    starts, refused = _startable(state, due, parallel - len(running))
    commands: list[Command] = [*asks, *starts]
    waiting = [memory for stage, memory in later.items() if stage not in due]
    times = [memory.not_before for memory in waiting if memory.parked is None]
    if running:
        times += [memory.not_before for memory in later.values() if memory.parked is not None]
    if wake := [at for at in (*times, *until) if at is not None and at > now]:
        commands.append(WaitUntil(min(wake)))
    if asks or starts or running or any(times):
        return commands
    parked = [stage for stage, memory in later.items() if memory.parked is not None]
    return [_wait_for_somebody(state, parked, refused)]


def _asks(state: RunState, now: datetime) -> tuple[list[Command], list[datetime | None]]:
    """Ask persons, for approval again if the tree has changed; return also their deadlines."""
    nodes, asked = state.plan.nodes, state.agenda.asked
    commands: list[Command] = [
        Ask(stage, _deadline(nodes[stage], now)) for stage in state.agenda.questions
    ]
    commands += [
        Ask(stage, question.until)
        for stage, question in asked.items()
        if question.tree != state.product.tree and not state.nodes[stage].has_question
    ]
    return commands, [question.until for question in asked.values()]


def _deadline(node: Node, now: datetime) -> datetime | None:
    timeout_s = node.approval.timeout_s if node.approval is not None else None
    return None if timeout_s is None else now + timedelta(seconds=timeout_s)


def _startable(state: RunState, due: set[str], free: int) -> tuple[list[Start], str]:
    """Pick ready stages in declared order while slots, locks and budget last.

    Say what the budget refused.
    """
    held, refused = set(state.agenda.held), ""
    budget = msgspec.structs.replace(state.budget, reserved=dict(state.budget.reserved))
    starts: list[Start] = []
    if free <= 0:
        return starts, refused
    for stage in state.agenda.ready.in_order(due, held):
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


def _wait_for_somebody(state: RunState, parked: Sequence[str], refused: str) -> Command:
    """Name all for whom the run waits; who has to act first says why it stops."""
    persons = [f"{stage} waits for an answer" for stage in state.agenda.asked]
    persons += [refused] if refused else []
    others = [f"{stage} {state.nodes[stage].reason}" for stage in parked]
    if not persons and not others:
        return Finish(RunEnd.FAILED, "nothing is left that could run")
    reasons = {reason for stage in parked if (reason := state.nodes[stage].parked) is not None}
    reasons |= {StopReason.ANSWER_WANTED} if state.agenda.asked else set()
    reasons |= {StopReason.LIMIT_REACHED} if refused else set()
    stop = min(reasons, key=PARK_ORDER.index)
    hint = next((state.nodes[stage].hint for stage in parked if state.nodes[stage].hint), "")
    return Park(stop, "; ".join([*persons, *others]), hint)
