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
from pipeline.core.plan import FAIL, Kind, Node, Plan

_NUMBERS = re.compile(r"\b0x[0-9a-f]+\b|\b\d+(\.\d+)?\b")


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
        self.followed: set[str] = set()
        self.active = plan.workflow
        self.stopped = False
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
                self.followed.add(event.workflow)
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
        self.active, self.stopped = workflow, False
        self.ready, self.verdicts = [], []
        self._open_roots = len(self.plan.roots[workflow])
        for root in self.plan.roots[workflow]:
            self._meet(root)

    def _meet(self, node_id: str) -> None:
        """One thing that the node waited for is there; with the last one it may start."""
        state = self.nodes[node_id]
        state.unmet -= 1
        if state.unmet or state.status not in {Status.PENDING, Status.WAITING}:
            return
        node = self.plan.nodes[node_id]
        if node.is_leaf:
            self._make_ready(node)
            return
        state.status = Status.RUNNING
        for child in node.children:
            self._meet(child)
        if not state.remaining:
            self._complete(node)

    def _make_ready(self, node: Node) -> None:
        if not self.stopped and not any(loop.id in self.verdicts for loop in self.plan.loops_around(node.id)):
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
        self.doomed, self.stopped = self.doomed or reason, True
        self.ready.clear()

    def _ask_verdict(self, loop: Node, told: tuple[str, ...], tree: str) -> None:
        failure = "\n".join(sorted(_NUMBERS.sub("#", line) for line in told))
        self.nodes[loop.id].history.append((failure, tree))
        self.nodes[loop.id].told = told
        self.verdicts.append(loop.id)
        for node in self.below(loop.id):
            self._unready(node)

    def _done(self, node: Node) -> None:
        self.nodes[node.id].status = Status.DONE
        for dependent in self._dependents.get(node.id, ()):
            self._meet(dependent)
        if node.parent is None:
            self._open_roots -= node.workflow == self.active
            return
        parent, state = self.plan.nodes[node.parent], self.nodes[node.parent]
        state.remaining -= 1
        if not state.remaining and state.status is Status.RUNNING:
            self._complete(parent)

    def _complete(self, group: Node) -> None:
        """All of a group is done: its loop is judged, its gates are asked, or it is done too."""
        if group.kind is Kind.LOOP:
            self.verdicts.append(group.id)
        elif group.gates:
            self._make_ready(group)
        else:
            self._done(group)

    def _round_started(self, event: RoundStarted) -> None:
        inside = {event.loop, *(node.id for node in self.below(event.loop))}
        self.verdicts = [loop for loop in self.verdicts if loop not in inside]
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
        self._follow(node, event.reason)
        self._doom(f"{node.id}: {event.reason}")

    def _follow(self, loop: Node, reason: str) -> None:
        """Have the workflow that an exhausted loop names started, unless it was."""
        name = loop.loop.on_exhausted if loop.loop is not None else FAIL
        if name != FAIL and name not in self.followed and self.follow_up is None:
            self.follow_up, self.follow_up_reason = name, reason

    def _invoked(self, event: Invoked) -> None:
        """Take a stage back to pending, with the groups around it and what failed because of it."""
        self.end, self.reason, self.finished_at, self.cancel = None, "", None, None
        self.only = event.stage
        self.publish = self.publish if event.publish is None else event.publish
        for state in self.nodes.values():
            if state.status in {Status.SKIPPED, Status.CANCELLED}:
                state.status, state.reason = Status.PENDING, ""
        self._take_back(event.stage)
        parent = self.plan.nodes[event.stage].parent
        while parent is not None:
            self.nodes[parent].status, self.nodes[parent].reason = Status.PENDING, ""
            parent = self.plan.nodes[parent].parent
        if self.plan.nodes[event.stage].workflow == self.plan.workflow:
            self.active = self.plan.workflow
            self.followed.clear()
        self._rebuild()

    def _take_back(self, stage: str) -> None:
        state = self.nodes[stage]
        state.status, state.reason, state.parked, state.not_before = Status.PENDING, "", False, None
        state.tries = state.losses = 0
        for dependent in self._dependents.get(stage, ()):
            if self.nodes[dependent].status is Status.FAILED:
                self._take_back(dependent)

    def _rebuild(self) -> None:
        """Make all indexes anew from where the nodes stand."""
        self.follow_up, self.ready, self.verdicts = None, [], []
        for node in self.plan.nodes.values():
            state = self.nodes[node.id]
            state.unmet = 1 + sum(self.nodes[need].status is not Status.DONE for need in node.needs)
            state.remaining = sum(self.nodes[child].status is not Status.DONE for child in node.children)
            if state.status is Status.RUNNING and not node.is_leaf and node.id not in self.running:
                state.status = Status.PENDING
        active = self.active
        self._activate(self.plan.workflow)
        self._open_roots = self._count_open()
        if self._find_failures() and active != self.plan.workflow:
            self.follow_up = None
            self._activate(active)
            self._open_roots = self._count_open()

    def _count_open(self) -> int:
        return sum(self.nodes[root].status is not Status.DONE for root in self.plan.roots[self.active])

    def _find_failures(self) -> bool:
        """Doom a run whose main workflow has a failure that no loop has yet to judge; tell whether it has."""
        self.doomed = None
        for node in self.plan.nodes.values():
            state = self.nodes[node.id]
            if state.status is not Status.FAILED or node.workflow != self.plan.workflow:
                continue
            loop = self.plan.decides_loop(node.id)
            by_gate = node.kind is Kind.LOOP or (state.last is not None and state.last.kind is FailureKind.GATE)
            if loop is not None and by_gate and self.nodes[loop.id].status is not Status.FAILED:
                self.verdicts.append(loop.id)
                for inner in self.below(loop.id):
                    self._unready(inner)
            elif loop is None or not by_gate:
                self._follow(node, state.reason)
                self._doom(f"{node.id}: {state.reason}" if node.loop else f"{node.id} failed: {state.reason}")
        return self.stopped

    def _opened(self) -> None:
        if self.only is not None:
            self.only = None
            self._rebuild()
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
