"""The state of a run as a fold over its events: `fold(plan, events)`, or `apply` one by one.

No clock, no files, no policy: what happens next is `core/decide`'s matter. Indexes (what is
ready, what runs, which loops wait for a verdict) are kept up to date by each event, so that a
decision costs no more than what changed.
"""

import re
from bisect import insort
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum

import msgspec

from pipeline.core.events import (
    CancelRequested,
    Effect,
    EffectDone,
    EffectIntended,
    Event,
    Invoked,
    LoopFinished,
    Noted,
    Outcome,
    RoundStarted,
    RunEnd,
    RunFinished,
    RunOpened,
    RunStarted,
    StageFinished,
    StageStarted,
    WorkflowStarted,
)
from pipeline.core.flow import FailureKind
from pipeline.core.plan import Kind, Node, Plan

_NUMBERS = re.compile(r"0x[0-9a-f]+|\d+")


class Status(StrEnum):
    """Where a node stands."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class NodeState(msgspec.Struct):
    """One node's state. `tries` counts failed attempts of this round, `losses` crashed ones."""

    unmet: int
    remaining: int
    status: Status = Status.PENDING
    reason: str = ""
    attempts: int = 0
    tries: int = 0
    losses: int = 0
    round: int = 1
    parked: bool = False
    repeated: bool = False
    not_before: datetime | None = None
    told: tuple[str, ...] = ()
    last: StageFinished | None = None
    history: list[tuple[str, str]] = []


class RunState:
    """Everything that is known of a run, from its events alone."""

    def __init__(self, plan: Plan) -> None:
        """Start before the first event."""
        self.plan = plan
        self.nodes = {
            node.id: NodeState(unmet=len(node.needs) + 1, remaining=len(node.children)) for node in plan.nodes.values()
        }
        self.started: RunStarted | None = None
        self.end: RunEnd | None = None
        self.reason = ""
        self.finished_at: datetime | None = None
        self.cancel: str | None = None
        self.doomed: str | None = None
        self.follow_up: str | None = None
        self.follow_up_reason = ""
        self.active = plan.workflow
        self.only: str | None = None
        self.publish = True
        self.ready: list[tuple[int, str]] = []
        self.running: dict[str, int] = {}
        self.verdicts: list[str] = []
        self.tree = ""
        self.commit = ""
        self.intended: dict[Effect, dict[str, str]] = {}
        self.effects: dict[Effect, dict[str, str]] = {}
        self.notes: list[str] = []
        self._open_roots = 0
        self._dependents: dict[str, list[str]] = {}
        for node in plan.nodes.values():
            for need in node.needs:
                self._dependents.setdefault(need, []).append(node.id)

    @property
    def all_done(self) -> bool:
        """Every stage of the active workflow is done."""
        return self.started is not None and self._open_roots == 0

    def held_locks(self) -> set[str]:
        """Return the names of the locks that running stages hold."""
        return {lock for stage in self.running for lock in self.plan.nodes[stage].locks}

    def below(self, node_id: str) -> Iterator[Node]:
        """Go through everything inside a group or loop."""
        for child in self.plan.nodes[node_id].children:
            yield self.plan.nodes[child]
            yield from self.below(child)

    def apply(self, event: Event) -> None:  # noqa: C901, PLR0912 - one case for each event
        """Take one event in. Events come in the journal's order."""
        match event:
            case RunStarted():
                self.started, self.publish = event, event.publish
                self._activate(self.plan.workflow)
            case StageStarted():
                self._stage_started(event)
            case StageFinished():
                self._stage_finished(event)
            case RoundStarted():
                self._round_started(event)
            case LoopFinished():
                self._loop_finished(event)
            case WorkflowStarted():
                self.follow_up = None
                self._activate(event.workflow)
            case EffectIntended():
                self.intended[event.effect] = event.detail
            case EffectDone():
                self.effects[event.effect] = event.detail
            case RunOpened():
                self._opened()
            case Invoked():
                self._invoked(event)
            case CancelRequested():
                self.cancel = event.reason or "asked by a person"
            case Noted():
                self.notes.append(event.text)
            case RunFinished():
                self._run_finished(event)

    def _activate(self, workflow: str) -> None:
        self.active = workflow
        self.ready.clear()
        self._open_roots = len(self.plan.roots[workflow])
        for root in self.plan.roots[workflow]:
            self._meet(root)

    def _meet(self, node_id: str) -> None:
        """One thing that the node waited for is there; with the last one it may start."""
        state = self.nodes[node_id]
        state.unmet -= 1
        if state.unmet or state.status is Status.DONE:
            return
        node = self.plan.nodes[node_id]
        if node.is_leaf:
            self._make_ready(node)
            return
        state.status = Status.RUNNING
        for child in node.children:
            self._meet(child)

    def _make_ready(self, node: Node) -> None:
        insort(self.ready, (node.order, node.id))

    def _unready(self, node: Node) -> None:
        if (node.order, node.id) in self.ready:
            self.ready.remove((node.order, node.id))

    def _stage_started(self, event: StageStarted) -> None:
        state = self.nodes[event.stage]
        state.status, state.reason = Status.RUNNING, ""
        state.attempts = event.attempt
        state.parked, state.not_before = False, None
        self.running[event.stage] = event.attempt
        self._unready(self.plan.nodes[event.stage])

    def _stage_finished(self, event: StageFinished) -> None:
        node, state = self.plan.nodes[event.stage], self.nodes[event.stage]
        self.running.pop(event.stage, None)
        state.last, state.reason = event, event.reason
        match event.outcome:
            case Outcome.DONE:
                self.tree, self.commit = event.tree or self.tree, event.commit or self.commit
                self._done(node)
            case Outcome.FAILED:
                self._failed(node, event)
            case Outcome.LOST:
                state.losses += 1
                self._again_or_failed(node, again=state.losses <= node.retry.lost)
            case Outcome.PARKED:
                state.parked, state.not_before = True, event.retry_after
                self._again_or_failed(node, again=True)
            case Outcome.CANCELLED:
                state.status = Status.CANCELLED

    def _failed(self, node: Node, event: StageFinished) -> None:
        state = self.nodes[node.id]
        state.tries += 1
        state.told = tuple(failure for gate in event.gates for failure in gate.failures) or (event.reason,)
        loop = self.plan.decides_loop(node.id)
        if loop is not None and event.kind is FailureKind.GATE:
            state.status = Status.FAILED
            self._ask_verdict(loop, state.told, event.tree or self.tree)
            return
        state.not_before = event.retry_after
        self._again_or_failed(node, again=event.kind in node.retry.on and state.tries <= node.retry.max)

    def _again_or_failed(self, node: Node, *, again: bool) -> None:
        state = self.nodes[node.id]
        state.status = Status.WAITING if again else Status.FAILED
        if again:
            self._make_ready(node)
        else:
            self._doom(f"{node.id} failed: {state.reason}" if state.reason else f"{node.id} failed")

    def _doom(self, reason: str) -> None:
        self.doomed = self.doomed or reason
        self.ready.clear()

    def _ask_verdict(self, loop: Node, told: tuple[str, ...], tree: str) -> None:
        failure = "\n".join(sorted(_NUMBERS.sub("#", line) for line in told))
        self.nodes[loop.id].history.append((failure, tree))
        self.nodes[loop.id].told = told
        self.verdicts.append(loop.id)

    def _done(self, node: Node) -> None:
        memory = self.nodes[node.id]
        memory.status = Status.DONE
        if memory.repeated:
            memory.repeated = False
            return
        for dependent in self._dependents.get(node.id, ()):
            self._meet(dependent)
        if node.parent is None:
            self._open_roots -= 1
            return
        parent, state = self.plan.nodes[node.parent], self.nodes[node.parent]
        state.remaining -= 1
        if state.remaining:
            return
        if parent.kind is Kind.LOOP:
            self.verdicts.append(parent.id)
        elif parent.gates:
            self._make_ready(parent)
        else:
            self._done(parent)

    def _round_started(self, event: RoundStarted) -> None:
        self.verdicts = [loop for loop in self.verdicts if loop != event.loop]
        loop = self.nodes[event.loop]
        loop.round, loop.told = event.round, event.told
        loop.remaining = len(self.plan.nodes[event.loop].children)
        for node in self.below(event.loop):
            old = self.nodes[node.id]
            self._unready(node)
            self.nodes[node.id] = NodeState(
                unmet=len(node.needs) + 1,
                remaining=len(node.children),
                attempts=old.attempts,
                last=old.last,
            )
        for child in self.plan.nodes[event.loop].children:
            self._meet(child)

    def _loop_finished(self, event: LoopFinished) -> None:
        self.verdicts = [loop for loop in self.verdicts if loop != event.loop]
        node, state = self.plan.nodes[event.loop], self.nodes[event.loop]
        state.reason = event.reason
        if event.passed:
            self._done(node)
            return
        state.status = Status.FAILED
        outer = self.plan.decides_loop(node.id)
        if outer is not None:
            self._ask_verdict(outer, (event.reason, *state.told), self.tree)
            return
        if node.loop is not None and node.loop.on_exhausted != "fail":
            self.follow_up, self.follow_up_reason = node.loop.on_exhausted, event.reason
        self._doom(f"{node.id}: {event.reason}")

    def _invoked(self, event: Invoked) -> None:
        self.end, self.reason, self.finished_at = None, "", None
        self.doomed = self.cancel = self.follow_up = None
        self.only = event.stage
        self.publish = self.publish if event.publish is None else event.publish
        for state in self.nodes.values():
            if state.status in {Status.SKIPPED, Status.CANCELLED}:
                state.status, state.reason = Status.PENDING, ""
        state = self.nodes[event.stage]
        state.repeated = state.status is Status.DONE
        state.status, state.tries, state.losses = Status.PENDING, 0, 0
        self.ready = sorted(
            (node.order, node.id)
            for node in self.plan.nodes.values()
            if self._may_start(node) or node.id == event.stage
        )

    def _may_start(self, node: Node) -> bool:
        state = self.nodes[node.id]
        waits = state.status in {Status.PENDING, Status.WAITING}
        return node.is_leaf and waits and state.unmet == 0 and node.workflow == self.active

    def _opened(self) -> None:
        self.only = None
        for _, stage in self.ready:
            if self.nodes[stage].parked:
                self.nodes[stage].parked, self.nodes[stage].not_before = False, None

    def _run_finished(self, event: RunFinished) -> None:
        self.end, self.reason, self.finished_at = event.end, event.reason, event.at
        self.ready.clear()
        for node_id, state in self.nodes.items():
            if state.status in {Status.PENDING, Status.WAITING, Status.RUNNING} and event.end is not RunEnd.DONE:
                in_use = self.plan.nodes[node_id].workflow == self.active
                state.status = Status.CANCELLED if event.end is RunEnd.CANCELLED and in_use else Status.SKIPPED
                state.reason = state.reason or event.reason
            elif state.status is Status.PENDING:
                state.status, state.reason = Status.SKIPPED, "not needed"


def fold(plan: Plan, events: Iterable[Event]) -> RunState:
    """Build the state that a list of events leads to."""
    state = RunState(plan)
    for event in events:
        state.apply(event)
    return state
