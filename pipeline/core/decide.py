"""The whole scheduling policy: `decide(state, now, parallel) -> commands`, a pure function.

The engine carries the commands out and appends events; then it asks again. The rules, each held
by an oracle in `tests/core/test_decide_walk.py`:

- A stage starts when everything it needs is done, its locks are free and a slot is free.
- Ready stages start in declared order; one that waits for a lock never blocks another.
- A failed stage dooms the run: nothing new starts, what runs is left to finish.
- A loop goes around until its gate passes, its rounds are used up, or it makes no progress.
- An exhausted loop may name a workflow that looks for the cause; the run fails all the same.
- When only stages that wait for a lock are left, the run parks.
- A stage that a person invokes runs alone; then the run is left as it is.
- A cancelled run ends what runs, and starts nothing.
"""

from datetime import datetime

import msgspec

from pipeline.core.events import RunEnd
from pipeline.core.plan import Node
from pipeline.core.state import RunState, Status


class Start(msgspec.Struct, frozen=True):
    """Run one attempt of a stage (for a group: check its gates)."""

    stage: str


class Cancel(msgspec.Struct, frozen=True):
    """End a running attempt."""

    stage: str


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


class Rest(msgspec.Struct, frozen=True):
    """The one stage that was asked for is over; leave the run as it is."""


class Finish(msgspec.Struct, frozen=True):
    """End the run."""

    end: RunEnd
    reason: str = ""


Command = Start | Cancel | NextRound | EndLoop | StartWorkflow | WaitUntil | Park | Rest | Finish


def decide(state: RunState, now: datetime, parallel: int, *, draining: bool = False) -> list[Command]:
    """Say what to do next. `draining` means: let what runs finish, start nothing (a polite stop)."""
    if state.end is not None or state.started is None:
        return []
    if state.cancel is not None:
        stop: list[Command] = [Cancel(stage) for stage in state.running]
        return stop or [Finish(RunEnd.CANCELLED, state.cancel)]
    if draining:
        return []
    if state.only is not None:
        return _alone(state, state.only, now)
    if not state.stopped and (verdicts := _verdicts(state)):
        return verdicts
    if state.doomed is not None and (ending := _doomed(state)) is not None:
        return ending
    if state.all_done:
        end = RunEnd.FAILED if state.doomed else RunEnd.DONE
        return [Finish(end, state.doomed or "")]
    return _starts(state, now, parallel)


def _alone(state: RunState, stage: str, now: datetime) -> list[Command]:
    """Run one stage to its end and nothing else."""
    memory = state.nodes[stage]
    if state.running:
        return []
    if memory.parked:
        return [Park(f"{stage} {memory.reason}")]
    if memory.status not in {Status.PENDING, Status.WAITING}:
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
        return EndLoop(node.id, passed=False, reason=f"still not passed after {memory.round} round(s)")
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
    free = parallel - len(state.running)
    held = state.held_locks()
    commands: list[Command] = []
    wake: list[datetime] = []
    parked: list[str] = []
    for _, stage in state.ready:
        if len(commands) >= free:
            break
        memory, node = state.nodes[stage], state.plan.nodes[stage]
        if memory.parked and not state.running:
            parked.append(f"{stage} {memory.reason}")
        elif memory.not_before is not None and memory.not_before > now:
            wake.append(memory.not_before)
        elif held.isdisjoint(node.locks):
            held.update(node.locks)
            commands.append(Start(stage))
    if wake:
        commands.append(WaitUntil(min(wake)))
    if commands or state.running:
        return commands
    return [Park("; ".join(parked))] if parked else [Finish(RunEnd.FAILED, "nothing is left that could run")]
