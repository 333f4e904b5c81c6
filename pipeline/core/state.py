"""The state of a run as a fold over its events: `fold(plan, events)`, or `apply` one by one.

No clock, no files, no policy: what happens next is `core/decide`'s matter. Indexes (what is
ready, what runs, which loops wait for a verdict) are kept up to date by each event, so that a
decision costs no more than what changed.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from pipeline.core import again
from pipeline.core.budget import budget_of
from pipeline.core.events import (
    Answer,
    Answered,
    ApprovalAsked,
    CancelRequested,
    ConditionAnswered,
    Effect,
    EffectDone,
    EffectIntended,
    Event,
    Invoked,
    ItemsFound,
    LimitsRaised,
    LoopFinished,
    Noted,
    Outcome,
    PersonEdited,
    RoundStarted,
    RunEnd,
    RunFinished,
    RunOpened,
    RunParked,
    RunStarted,
    StageCancelled,
    StageFinished,
    StageStarted,
    TakenBack,
    Verdict,
    WorkflowStarted,
)
from pipeline.core.memory import OPEN, Status
from pipeline.core.progress import Progress
from pipeline.core.unfold import unfolded
from pipeline.language.flow import FailureKind, GateName
from pipeline.language.plan import Kind, Node, Plan

_NO = (Answer.STOP, Answer.EXPIRED)


class RunState(Progress):
    """Everything that is known of a run, from its events alone."""

    def __init__(self, plan: Plan) -> None:
        """Start before the first event."""
        super().__init__(plan)
        self.started: RunStarted | None = None
        self.end: RunEnd | None = None
        self.reason = ""
        self.finished_at: datetime | None = None
        self.cancel: str | None = None
        self.only: str | None = None
        self.publish = True
        self.ending: dict[str, str] = {}
        self.budget = budget_of(plan)
        self.values: dict[str, dict[str, object]] = {}
        self.parked: RunParked | None = None
        self.worked_s = 0.0
        self.done_count = 0
        self.tree, self.commit = "", ""
        self.intended: dict[Effect, dict[str, str]] = {}
        self.effects: dict[Effect, dict[str, str]] = {}
        self.notes: list[str] = []
        self.approved: dict[str, str] = {}
        self.edits: list[PersonEdited] = []
        self.edits_since_red: tuple[PersonEdited, ...] = ()
        self._awake_s = 0.0

    @property
    def awake_s(self) -> float:
        """How long the run has been worked on, in awake time."""
        return self.worked_s + self._awake_s

    @property
    def all_done(self) -> bool:
        """Every stage of the active workflow is over."""
        return self.started is not None and self.open_roots == 0

    def apply(self, event: Event) -> None:  # noqa: C901, PLR0912 - one case for each event
        """Take one event in. Events come in the journal's order."""
        match event:
            case RunStarted():
                self.started, self.publish = event, event.publish
                self.activate(self.plan.workflow)
            case StageStarted():
                self._stage_started(event)
            case StageFinished():
                self._stage_finished(event)
            case ConditionAnswered():
                self._condition_answered(event)
            case ItemsFound():
                self._items_found(event)
            case ApprovalAsked():
                self.nodes[event.stage].status = Status.WAITING
                self.nodes[event.stage].reason = "waits for a person's answer"
                self.questions = [stage for stage in self.questions if stage != event.stage]
                self.asked[event.stage] = event
            case Answered():
                self._answered(event)
            case RoundStarted():
                self._round_started(event)
            case LoopFinished():
                self._loop_finished(event)
            case WorkflowStarted():
                self.follow_up = None
                self.followed.add(event.workflow)
                self.activate(event.workflow)
            case RunOpened():
                self._opened()
            case Invoked():
                self._invoked(event)
            case TakenBack():
                self._taken_back(event)
            case StageCancelled():
                self._stage_cancelled(event)
            case RunFinished():
                self._run_finished(event)
            case _:
                self._take_down(event)

    def _take_down(self, event: Event) -> None:
        """Take in an event that only is remembered."""
        match event:
            case PersonEdited():
                self._person_edited(event)
            case EffectIntended():
                self.intended[event.effect] = event.detail
            case EffectDone():
                self.effects[event.effect] = event.detail
            case LimitsRaised():
                self.budget.raise_to(event)
            case RunParked():
                self.parked = event
            case CancelRequested():
                self.cancel = event.reason or "asked by a person"
            case Noted():
                self.notes.append(event.text)
            case _:
                pass

    def _person_edited(self, event: PersonEdited) -> None:
        self.tree, self.commit = event.tree, event.commit
        self.edits.append(event)
        self.edits_since_red = (*self.edits_since_red, event)

    def _stage_started(self, event: StageStarted) -> None:
        node, state = self.plan.nodes[event.stage], self.nodes[event.stage]
        self.unready(node)
        state.status, state.reason = Status.RUNNING, ""
        state.attempts = event.attempt
        state.parked, state.not_before = False, None
        self.running[event.stage] = event.attempt
        self.held.update(node.locks)
        self.budget.reserve(node)

    def _stage_finished(self, event: StageFinished) -> None:
        node, state = self.plan.nodes[event.stage], self.nodes[event.stage]
        if self.running.pop(event.stage, None) is not None:
            self.held.difference_update(node.locks)
        self._awake_s = max(self._awake_s, event.awake_s)
        self.budget.settle(event)
        state.last, state.reason = event, event.reason
        if (
            ending := self.ending.pop(event.stage, None)
        ) is not None and event.outcome is not Outcome.DONE:
            state.reason = ending
            self.settle_failure(node, Status.CANCELLED)
            return
        match event.outcome:
            case Outcome.DONE:
                if any(gate.gate is GateName.RED for gate in event.gates):
                    self.edits_since_red = ()
                self.tree, self.commit = event.tree or self.tree, event.commit or self.commit
                self.values[event.stage] = event.values
                self.done_count += 1
                state.done_as = self.done_count
                self.unready(node)
                self.over(node, Status.DONE)
            case Outcome.FAILED:
                self._failed(node, event)
            case Outcome.LOST:
                state.losses += 1
                self.again_or_failed(node, again=state.losses <= node.retry.lost)
            case Outcome.PARKED:
                state.waits += event.kind is FailureKind.QUOTA
                state.parked = event.kind is not FailureKind.QUOTA or state.waits > node.retry.quota
                state.not_before = event.retry_after
                self.again_or_failed(node, again=True)
            case Outcome.ASKS | Outcome.NEEDLESS:
                self.said_instead(node, event)
            case Outcome.CANCELLED:
                state.status = Status.CANCELLED

    def _failed(self, node: Node, event: StageFinished) -> None:
        state = self.nodes[node.id]
        state.tries += 1
        state.told = tuple(failure for gate in event.gates for failure in gate.failures) or (
            event.reason,
        )
        loop = self.plan.decides_loop(node.id)
        if loop is not None and event.kind is FailureKind.GATE:
            state.status, state.red = Status.FAILED, True
            self.ask_verdict(loop, state.told, event.tree or self.tree)
            return
        state.not_before = event.retry_after
        self.again_or_failed(
            node, again=event.kind in node.retry.on and state.tries <= node.retry.max
        )

    def _condition_answered(self, event: ConditionAnswered) -> None:
        node, state = self.plan.nodes[event.stage], self.nodes[event.stage]
        self.conditions.remove(event.stage)
        state.judged = True
        match event.verdict:
            case Verdict.GO:
                self.enter(node)
            case Verdict.SKIP:
                for inner in self.below(node.id):
                    self.nodes[inner.id].status, self.nodes[inner.id].reason = (
                        Status.SKIPPED,
                        event.reason,
                    )
                state.reason = event.reason
                self.over(node, Status.SKIPPED)
            case Verdict.FAIL:
                state.reason = event.reason
                self.settle_failure(node, Status.FAILED)

    def _items_found(self, event: ItemsFound) -> None:
        state = self.nodes[event.stage]
        self.unfolding.remove(event.stage)
        if event.problem:
            state.reason = event.problem
            self.settle_failure(self.plan.nodes[event.stage], Status.FAILED)
            return
        foreach, *nodes = unfolded(self.plan, self.plan.nodes[event.stage], event.items)
        self.plan.nodes[foreach.id] = foreach
        state.remaining, state.unfolded = len(foreach.children), True
        for node in nodes:
            self.plan.nodes[node.id] = node
            old = self.nodes.get(node.id)
            self.take_in(node, old)
            self.nodes[node.id].told = old.told if old is not None else ()
        for item in event.items:
            self.nodes[f"{foreach.id}:{item.key}"].value = item.value
        self.enter(foreach)

    def _answered(self, event: Answered) -> None:
        asked = self.asked.get(event.stage)
        if (
            asked is None
            or asked.tree != event.tree
            or (self.tree != event.tree and event.answer is Answer.APPROVE)
        ):
            return
        if (event.answer is Answer.REPLY) is not self.nodes[
            event.stage
        ].wonders and event.answer not in _NO:
            return
        del self.asked[event.stage]
        node, state = self.plan.nodes[event.stage], self.nodes[event.stage]
        by = f" by {event.by}" if event.by else ""
        state.reason = f"{event.answer.value}{by}" + (f": {event.comment}" if event.comment else "")
        match event.answer:
            case Answer.APPROVE:
                self.approved[event.stage] = event.tree
                self.over(node, Status.DONE)
            case Answer.REVISE:
                self._revise(node, event)
            case Answer.REPLY:
                state.wonders, state.status = False, Status.WAITING
                said = f"You asked: {asked.question} The answer of a person: {event.comment}"
                state.replies = (*state.replies, said)
                self.go_on(node.id)
            case Answer.STOP | Answer.EXPIRED:
                self.settle_failure(node, Status.FAILED)

    def _revise(self, node: Node, event: Answered) -> None:
        """Send back what a person looked at.

        By its loop if it decides one, else by having it run again.
        """
        state, loop = self.nodes[node.id], self.plan.decides_loop(node.id)
        state.revisions += 1
        state.told = (event.comment or "a person wants it revised",)
        if loop is not None:
            state.status, state.red = Status.FAILED, True
            self.ask_verdict(loop, state.told, event.tree)
        elif node.approval is None or state.revisions > node.approval.revisions:
            state.reason = f"sent back {state.revisions} times; last: {state.told[0]}"
            self.settle_failure(node, Status.FAILED)
        else:
            state.status = Status.WAITING
            self.sent_back = event

    def _round_started(self, event: RoundStarted) -> None:
        inside = {event.loop, *(node.id for node in self.below(event.loop))}
        self.verdicts = [loop for loop in self.verdicts if loop not in inside]
        loop = self.nodes[event.loop]
        loop.round, loop.told = event.round, event.told
        loop.remaining = len(self.plan.nodes[event.loop].children)
        for node in list(self.below(event.loop)):
            self.unready(node)
            self.take_in(node, self.nodes[node.id])
            if node.item in inside:
                self.nodes[node.id].status = Status.SKIPPED
            if node.kind is Kind.FOREACH:
                self.plan.nodes[node.id] = msgspec.structs.replace(node, children=())
                self.nodes[node.id].remaining = 0
        for child in self.plan.nodes[event.loop].children:
            self.meet(child)

    def _loop_finished(self, event: LoopFinished) -> None:
        self.verdicts = [loop for loop in self.verdicts if loop != event.loop]
        node, state = self.plan.nodes[event.loop], self.nodes[event.loop]
        state.reason = event.reason
        if event.passed:
            self.over(node, Status.DONE)
            return
        state.status = Status.FAILED
        outer = self.plan.decides_loop(node.id)
        if outer is not None:
            state.red = True
            self.ask_verdict(outer, (event.reason, *state.told), self.tree)
            return
        self.follow_failure(node, event.reason)
        self.doom(node, f"{node.id}: {event.reason}")

    def _invoked(self, event: Invoked) -> None:
        """Take a stage back to pending, with the groups around it and what failed because of it."""
        self._reopen()
        self.only = event.stage
        self.publish = self.publish if event.publish is None else event.publish
        again.invite(self, event.stage)
        again.rebuild(self)

    def _taken_back(self, event: TakenBack) -> None:
        self._reopen()
        self.only, self.sent_back = None, None
        self.tree, self.commit = event.tree, event.commit
        again.take_back(self, event.stages, event.told)
        for stage in event.stages:
            self.values.pop(stage, None)
            self.approved.pop(stage, None)
        again.rebuild(self)

    def _reopen(self) -> None:
        self.end, self.reason, self.finished_at, self.cancel, self.needless = (
            None,
            "",
            None,
            None,
            None,
        )

    def _stage_cancelled(self, event: StageCancelled) -> None:
        node, state = self.plan.nodes[event.stage], self.nodes[event.stage]
        if event.stage in self.running:
            self.ending[event.stage] = event.reason
        elif state.status in OPEN and node.workflow == self.active and not self.stopped:
            state.reason = event.reason
            self.unready(node)
            self.settle_failure(node, Status.CANCELLED)

    def _opened(self) -> None:
        self.parked = None
        self.worked_s, self._awake_s = self.worked_s + self._awake_s, 0.0
        if self.only is not None and not self.nodes[self.only].wonders:
            self.only = None
            again.rebuild(self)
        for stage, state in self.nodes.items():
            if state.parked:
                state.parked, state.not_before = False, None
                if stage in self.ready.later:
                    self.unready(self.plan.nodes[stage])
                    self.make_ready(self.plan.nodes[stage])

    def _run_finished(self, event: RunFinished) -> None:
        self.end, self.reason, self.finished_at = event.end, event.reason, event.at
        self.forget_what_is_next()
        self.asked.clear()
        for node_id, state in self.nodes.items():
            if state.status not in {*OPEN, Status.RUNNING}:
                continue
            state.status = self.put_aside_as(node_id, event.end)
            state.reason = state.reason or (
                "not needed" if event.end is RunEnd.DONE else event.reason
            )
            self.put_aside.add(node_id)


def fold(plan: Plan, events: Iterable[Event]) -> RunState:
    """Build the state that a list of events leads to."""
    state = RunState(plan)
    for event in events:
        state.apply(event)
    return state
