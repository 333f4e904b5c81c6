"""Random walks over `decide` and `RunState`: a tiny engine, and an oracle for every rule.

The oracles know the plan and the events, never `RunState`: `Ledger` is an onlooker's own book.
Which rule has which oracle, and what turned each of them red, stands in
`docs/reference/scheduling.md`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, cycle, repeat
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from pipeline.core.decide import (
    Ask,
    Cancel,
    Command,
    EndLoop,
    Expire,
    Finish,
    Judge,
    NextRound,
    Park,
    Rest,
    Start,
    StartWorkflow,
    TakeBack,
    Unfold,
    WaitUntil,
    decide,
)
from pipeline.core.events import (
    Answer,
    Answered,
    ApprovalAsked,
    CancelRequested,
    ConditionAnswered,
    ConditionResult,
    Event,
    Invoked,
    ItemsFound,
    LimitsRaised,
    LoopFinished,
    RoundStarted,
    RunFinished,
    RunOpened,
    RunParked,
    RunStarted,
    StageCancelled,
    StageFinished,
    StageStarted,
    TakenBack,
    Usage,
    WorkflowStarted,
    decode,
    encode,
)
from pipeline.core.evidence import GateResult, GateVerdict
from pipeline.core.fold import apply, begin, fold
from pipeline.core.outcomes import Outcome, RunEnd
from pipeline.core.progress import QUESTIONS_MAX
from pipeline.core.state import RunState
from pipeline.core.values import blocking_failures, closure
from pipeline.language.compiler import compile_plan, kind_of
from pipeline.language.flow import (
    Approval,
    FailureKind,
    Flow,
    Foreach,
    GateName,
    Limits,
    Lock,
    Loop,
    May,
    Output,
    Retry,
    Role,
    Stage,
    StageLimits,
    Workflow,
)
from pipeline.language.plan import Kind, Node, Plan
from pipeline.language.publishing import Publish
from pipeline.language.words import Count, Duration, Expression, Name, Template

PROFILE = settings(
    max_examples=400,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Ledger:
    """What an onlooker knows from the plan and the events alone."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.running: set[str] = set()
        self.done: set[str] = set()
        self.tries: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()
        self.rounds: Counter[str] = Counter()
        self.not_retried: set[str] = set()
        self.parked: set[str] = set()
        self.later: dict[str, datetime] = {}
        self.verdicts: dict[str, list[tuple[object, str]]] = {}
        self.told: dict[str, tuple[str, ...]] = {}
        self.red: set[str] = set()
        self.final: list[str] = []
        self.exhausted: list[str] = []
        self.followed: list[str] = []
        self.workflow = plan.workflow
        self.failed = self.cancelled = self.draining = False
        self.only: str | None = None
        self.tree = ""
        self.skipped: set[str] = set()
        self.missed: set[str] = set()
        self.judged: dict[str, ConditionResult] = {}
        self.unfolded: set[str] = set()
        self.values: dict[str, dict[str, Any]] = {}
        self.asked: dict[str, ApprovalAsked] = {}
        self.revisions: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.spent = 0.0
        self.reserved: dict[str, float] = {}
        self.usd = plan.usd
        self.wall_s = plan.wall_s
        self.ending: set[str] = set()
        self.wonders: set[str] = set()
        self.questions: Counter[str] = Counter()
        self.needless = False
        self.awake_s = 0.0

    def below(self, node_id: str) -> Iterator[str]:
        for child in self.plan.nodes[node_id].children:
            yield child
            yield from self.below(child)

    def chain(self, node_id: str | None) -> Iterator[str]:
        while node_id is not None:
            yield node_id
            node_id = self.plan.nodes[node_id].parent

    def is_done(self, node_id: str) -> bool:
        """What needs it may go on: it is done, skipped, failed where that is passed over, or all
        inside is.
        """
        node = self.plan.nodes[node_id]
        if node_id in self.skipped | self.missed:
            return True
        if node.kind in {Kind.PARALLEL, Kind.WORKFLOW, Kind.ITEM} and not node.gates:
            return all(self.is_done(child) for child in node.children)
        if node.kind is Kind.FOREACH:
            return node_id in self.unfolded and all(self.is_done(child) for child in node.children)
        return node_id in self.done

    def holds(self, node: Node) -> bool | None:
        """Answer one of the conditions that the random flows use, from what was seen; None without
        an answer.
        """
        name, _, word = node.when.removeprefix("not ").partition(".")
        target = node.refs[name]
        if word.startswith("out"):
            return self.values[target]["n"] == 1 if target in self.done else None
        states = {
            "done": self.is_done(target),
            "skipped": target in self.skipped,
            "failed": target in self.missed,
        }
        found = states[word] and (word != "done" or target not in self.skipped | self.missed)
        return found is not node.when.startswith("not ")

    def may_start(self, node_id: str) -> bool:
        """Everything needed is done, in this round, and the stage itself is neither done nor under
        way.
        """
        node = self.plan.nodes[node_id]
        needs = [need for around in self.chain(node_id) for need in self.plan.nodes[around].needs]
        fresh = not any(
            node_id in book for book in (self.done, self.running, self.skipped, self.missed)
        )
        around = list(self.chain(node.parent))
        judged = any(group in self.done | self.skipped for group in around)
        wanted = [group for group in self.chain(node_id) if self.plan.nodes[group].when]
        go = all(self.judged.get(group) is ConditionResult.GO for group in wanted)
        known = all(
            group in self.unfolded
            for group in around
            if self.plan.nodes[group].kind is Kind.FOREACH
        )
        return (
            fresh
            and go
            and known
            and not judged
            and all(self.is_done(need) for need in (*needs, *node.children))
        )

    def doors(self) -> Iterator[str]:
        """Go through what `Start` can name: stages, and groups with gates of their own."""
        for node in self.plan.nodes.values():
            is_door = node.is_leaf or (node.kind is Kind.PARALLEL and node.gates)
            if node.workflow == self.workflow and is_door and not self.is_forgotten(node.id):
                yield node.id

    def is_forgotten(self, node_id: str) -> bool:
        """It belongs to an item of an earlier round."""
        items = [group for group in self.chain(node_id) if self.plan.nodes[group].kind is Kind.ITEM]
        return any(
            item not in self.plan.nodes[str(self.plan.nodes[item].parent)].children
            for item in items
        )

    def held(self) -> set[str]:
        return {lock for stage in self.running for lock in self.plan.nodes[stage].locks}

    def note(self, event: Event) -> None:
        match event:
            case StageStarted(stage=stage):
                self.running.add(stage)
                self.attempts[stage] += 1
                self.parked.discard(stage)
                self.later.pop(stage, None)
                if self.plan.nodes[stage].kind is Kind.AGENT:
                    self.reserved[stage] = self.plan.nodes[stage].limits.usd or 0.0
            case StageFinished():
                self.running.discard(event.stage)
                self._finished(event)
            case RoundStarted(loop=loop, round=number):
                self._forget(loop)
                self.rounds[loop] = number
            case LoopFinished(loop=loop, passed=True):
                self.done.add(loop)
            case LoopFinished(loop=loop, reason=reason):
                self._exhausted(loop, reason)
            case WorkflowStarted(workflow=workflow):
                self.workflow = workflow
                self.followed.append(workflow)
                self.final, self.exhausted = [], []
            case _:
                self._note_person(event)

    def _note_person(self, event: Event) -> None:
        match event:
            case ConditionAnswered(stage=stage, result=verdict):
                self.judged[stage] = verdict
                if verdict is ConditionResult.SKIP:
                    self.skipped.update([stage, *self.below(stage)])
                if verdict is ConditionResult.FAIL:
                    self._fail_for_good(stage)
            case ItemsFound(stage=stage, problem=problem):
                if problem:
                    self._fail_for_good(stage)
                else:
                    self.unfolded.add(stage)
            case ApprovalAsked(stage=stage):
                self.asked[stage] = event
            case Answered():
                self._answered(event)
            case TakenBack():
                self._taken_back(event)
            case StageCancelled(stage=stage):
                if stage in self.running:
                    self.ending.add(stage)
                elif self.may_be_cancelled(stage):
                    self.asked.pop(stage, None)
                    self._fail_for_good(stage)
            case LimitsRaised():
                self.usd = self.usd if event.usd is None else event.usd
                self.wall_s = self.wall_s if event.wall_s is None else event.wall_s
            case RunOpened():
                self.only = self.only if self.only in self.wonders else None
                for stage in self.parked:
                    self.later.pop(stage, None)
                self.parked.clear()
            case Invoked(stage=stage):
                self._invoked(stage)
            case CancelRequested():
                self.cancelled = True
            case RunFinished():
                self.asked.clear()
            case _:
                pass

    def may_be_cancelled(self, stage: str) -> bool:
        books = (self.done, self.skipped, self.missed, self.not_retried, self.final)
        inside = any(group in self.done | self.skipped for group in self.chain(stage))
        inside = inside or (self._is_until(stage) and self.plan.nodes[stage].parent in self.red)
        if self.final or self.plan.nodes[stage].workflow != self.workflow:
            return False
        return (
            not inside and not any(stage in book for book in books) and not self.is_forgotten(stage)
        )

    def answers_to(self, stage: str) -> set[Answer]:
        """List what a stage can be answered: an agent's question a reply, an approval yes or no."""
        own = (
            {Answer.REPLY}
            if self.plan.nodes[stage].kind is Kind.AGENT
            else {Answer.APPROVE, Answer.REVISE}
        )
        return {*own, Answer.STOP, Answer.EXPIRED}

    def _answered(self, event: Answered) -> None:
        asked = self.asked.get(event.stage)
        if asked is None or asked.tree != event.tree:
            return
        if event.answer is Answer.APPROVE and event.tree != self.tree:
            return
        if event.answer not in self.answers_to(event.stage):
            return
        del self.asked[event.stage]
        self.wonders.discard(event.stage)
        match event.answer:
            case Answer.REPLY:
                pass
            case Answer.APPROVE:
                self.done.add(event.stage)
            case Answer.REVISE if self._is_until(event.stage):
                self._turn_red(event.stage, (event.comment,), event.tree)
            case Answer.REVISE:
                self.revisions[event.stage] += 1
                approval = self.plan.nodes[event.stage].approval
                if approval is not None and self.revisions[event.stage] > approval.revisions:
                    self._fail_for_good(event.stage)
            case _:
                self._fail_for_good(event.stage)

    def _taken_back(self, event: TakenBack) -> None:
        taken = set(event.stages)
        for name in taken & self.asked.keys():
            del self.asked[name]
        for book in (
            self.done,
            self.skipped,
            self.missed,
            self.not_retried,
            self.parked,
            self.wonders,
        ):
            book.difference_update(taken)
        # A loop whose `until` is not taken back with it stays as red as that has left it, and is told
        # of both.
        for loop in self.red & taken:
            if self.plan.nodes[loop].until in taken:
                self.red.discard(loop)
            else:
                self.told[loop] = (*event.feedback, *self.told[loop])
        for table in (
            self.tries, self.losses, self.waits, self.rounds, self.later, self.verdicts, self.judged, self.questions
        ):  # fmt: skip
            for node_id in taken & table.keys():
                del table[node_id]
        for foreach in taken & self.unfolded:
            if taken.issuperset(self.below(foreach)):
                self.unfolded.discard(foreach)
        self.final = [one for one in self.final if one not in taken]
        if any(self.plan.nodes[one].workflow == self.plan.workflow for one in taken):
            self.exhausted, self.followed, self.workflow = [], [], self.plan.workflow
            for node in self.plan.nodes.values():
                if node.workflow != self.plan.workflow:
                    self._forget_one(node.id)
        self.failed, self.cancelled = bool(self.final or self.workflow != self.plan.workflow), False
        self.needless = False
        self.tree = event.tree

    def _invoked(self, stage: str) -> None:
        self.only = stage
        self.failed = self.cancelled = self.needless = False
        self.final, self.exhausted = [], []
        self.asked.pop(stage, None)
        if self.plan.nodes[stage].workflow == self.plan.workflow:
            self.asked = {
                one: it
                for one, it in self.asked.items()
                if self.plan.nodes[one].workflow == self.plan.workflow
            }
            if self.followed or self.workflow != self.plan.workflow:
                self.wonders = {
                    one
                    for one in self.wonders
                    if self.plan.nodes[one].workflow == self.plan.workflow
                }
            self.workflow, self.followed = self.plan.workflow, []
        for book in (self.done, self.not_retried, self.wonders):
            book.discard(stage)
        for table in (self.tries, self.losses, self.questions):
            table.pop(stage, None)

    def _forget(self, loop: str) -> None:
        # By their parents: the engine has taken the items of the last round from its foreach already.
        inside = {one for one in self.plan.nodes if one != loop and loop in self.chain(one)}
        self.red.discard(loop)
        for node_id in inside:
            self._forget_one(node_id)

    def _forget_one(self, node_id: str) -> None:
        for book in (
            self.done, self.red, self.not_retried, self.parked, self.skipped, self.missed, self.unfolded, self.wonders
        ):  # fmt: skip
            book.discard(node_id)
        self.asked.pop(node_id, None)
        for table in (
            self.tries, self.losses, self.rounds, self.later, self.verdicts, self.judged, self.waits, self.revisions,
            self.questions,
        ):  # fmt: skip
            table.pop(node_id, None)
        self.final = [one for one in self.final if one != node_id]

    def _finished(self, event: StageFinished) -> None:
        node = self.plan.nodes[event.stage]
        self._pay(event)
        if event.stage in self.ending:
            self.ending.discard(event.stage)
            if event.outcome is not Outcome.DONE:
                self._fail_for_good(event.stage)
                return
        match event.outcome:
            case Outcome.DONE:
                self.done.add(node.id)
                self.tree = event.tree or self.tree
                self.values[node.id] = event.values.get("out", {})
            case Outcome.FAILED:
                failures = tuple(failure for gate in event.gates for failure in gate.failures) or (
                    event.reason,
                )
                self._failed(event, failures)
            case Outcome.LOST:
                self.losses[node.id] += 1
                if self.losses[node.id] > node.retry.lost:
                    self._fail_for_good(node.id)
            case Outcome.PARKED if event.kind is FailureKind.QUOTA:
                self.waits[node.id] += 1
                if self.waits[node.id] > node.retry.quota:
                    self.parked.add(node.id)
                self._not_before(event)
            case Outcome.PARKED:
                self.parked.add(node.id)
                self._not_before(event)
            case Outcome.ASKS if self.questions[node.id] < QUESTIONS_MAX:
                self.questions[node.id] += 1
                self.wonders.add(node.id)
            case Outcome.DECLINED if node.workflow == self.plan.workflow:
                self.needless = True
            case Outcome.ASKS | Outcome.DECLINED:
                self._fail_for_good(node.id)
            case Outcome.CANCELLED:
                pass

    def _pay(self, event: StageFinished) -> None:
        reserved = self.reserved.pop(event.stage, 0.0)
        if event.usage.cost_usd is not None:
            self.spent += event.usage.cost_usd
        elif event.outcome is not Outcome.PARKED:
            self.spent += reserved

    def _failed(self, event: StageFinished, failures: tuple[str, ...]) -> None:
        node = self.plan.nodes[event.stage]
        if event.kind is FailureKind.GATE and self._is_until(node.id):
            self._turn_red(node.id, failures, event.tree or self.tree)
            return
        self.tries[node.id] += 1
        self._not_before(event)
        if event.kind not in node.retry.on or self.tries[node.id] > node.retry.max:
            self.not_retried.add(node.id)
            self._fail_for_good(node.id)

    def _not_before(self, event: StageFinished) -> None:
        if event.retry_after is not None:
            self.later[event.stage] = event.retry_after

    def _is_until(self, node_id: str) -> bool:
        parent = self.plan.nodes[node_id].parent
        return parent is not None and self.plan.nodes[parent].until == node_id

    def _turn_red(self, node_id: str, failures: tuple[str, ...], tree: str) -> None:
        loop = str(self.plan.nodes[node_id].parent)
        self.red.add(loop)
        for inside in self.below(loop):
            self.asked.pop(inside, None)
        self.told[loop] = failures
        self.verdicts.setdefault(loop, []).append((tuple(sorted(failures)), tree))

    def _exhausted(self, loop: str, reason: str) -> None:
        if self._is_until(loop):
            words = "".join(letter for letter in reason if not letter.isdigit())
            self._turn_red(loop, (words, *self.told.get(loop, ())), self.tree)
            return
        self._fail_for_good(loop)

    def _fail_for_good(self, node_id: str) -> None:
        if self.plan.nodes[node_id].on_failure == "continue":
            self.missed.add(node_id)
            return
        node = self.plan.nodes[node_id]
        follow_up = node.loop.on_exhausted if node.loop else node.on_failure
        if follow_up != "fail":
            self.exhausted.append(follow_up)
        self.final.append(node_id)
        self.failed = True
        self.asked.clear()


# The oracles. Each looks at one event before it is taken in, and is silent about all others.


def never_more_than_parallel(seen: Ledger, event: Event) -> None:
    if isinstance(event, StageStarted):
        assert len(seen.running) < seen.plan.parallel


def never_two_holders(seen: Ledger, event: Event) -> None:
    if isinstance(event, StageStarted):
        assert seen.held().isdisjoint(seen.plan.nodes[event.stage].locks)


def starts_stand_on_done_needs(seen: Ledger, event: Event) -> None:
    if isinstance(event, StageStarted):
        assert event.stage in seen.doors()
        assert seen.may_start(event.stage)
        assert event.at >= seen.later.get(event.stage, event.at)


def attempts_stay_in_budget(seen: Ledger, event: Event) -> None:
    if isinstance(event, StageStarted):
        retry = seen.plan.nodes[event.stage].retry
        assert seen.tries[event.stage] <= retry.max
        assert seen.losses[event.stage] <= retry.lost
        assert event.stage not in seen.not_retried


def rounds_stay_in_bounds(seen: Ledger, event: Event) -> None:
    if isinstance(event, RoundStarted):
        rule = seen.plan.nodes[event.loop].loop
        assert rule is not None
        assert event.round == seen.rounds.get(event.loop, 1) + 1 <= rule.max
        assert event.loop in seen.red
        assert (
            event.feedback == seen.told[event.loop]
            or seen.plan.nodes[str(seen.plan.nodes[event.loop].until)].loop
        )


def loops_end_for_a_reason(seen: Ledger, event: Event) -> None:
    if not isinstance(event, RoundStarted | LoopFinished):
        return
    node = seen.plan.nodes[event.loop]
    assert node.loop is not None
    assert node.until is not None
    recent = seen.verdicts.get(node.id, [])[-node.loop.no_progress :]
    enough = len(recent) == node.loop.no_progress
    stuck = enough and (
        len({failure for failure, _ in recent}) == 1 or len({tree for _, tree in recent}) == 1
    )
    if isinstance(event, RoundStarted):
        assert not stuck
    elif event.passed:
        assert seen.is_done(node.until)
        assert all(seen.is_done(child) for child in node.children)
    else:
        assert node.id in seen.red
        assert stuck or seen.rounds.get(node.id, 1) == node.loop.max


def loops_are_judged_when_all_is_quiet(seen: Ledger, event: Event) -> None:
    if isinstance(event, RoundStarted | LoopFinished):
        assert seen.running.isdisjoint(seen.below(event.loop))
        needs = [
            need for around in seen.chain(event.loop) for need in seen.plan.nodes[around].needs
        ]
        assert all(seen.is_done(need) for need in needs)


def nothing_starts_that_is_in_vain(seen: Ledger, event: Event) -> None:
    if isinstance(event, StageStarted | RoundStarted):
        node_id = (
            event.stage if isinstance(event, StageStarted) else seen.plan.nodes[event.loop].parent
        )
        assert not seen.final
        assert not seen.cancelled
        assert not seen.draining
        assert not seen.needless
        assert seen.red.isdisjoint(seen.chain(node_id)), "the round is lost already"


def an_invoked_stage_runs_alone(seen: Ledger, event: Event) -> None:
    by_a_person = RunOpened | CancelRequested | Answered | LimitsRaised | Invoked | RunParked
    if seen.only is not None and not isinstance(event, by_a_person | StageFinished):
        assert isinstance(event, StageStarted | RunFinished | ApprovalAsked)
        assert not seen.running
        assert not isinstance(event, RunFinished) or seen.cancelled or seen.needless
        assert isinstance(event, RunFinished) or event.stage == seen.only


def conditions_are_answered_truly(seen: Ledger, event: Event) -> None:
    if isinstance(event, ConditionAnswered):
        node = seen.plan.nodes[event.stage]
        assert event.stage not in seen.judged
        assert all(
            seen.is_done(need)
            for around in seen.chain(node.id)
            for need in seen.plan.nodes[around].needs
        )
        wanted = {None: ConditionResult.FAIL, True: ConditionResult.GO, False: ConditionResult.SKIP}
        assert event.result is wanted[seen.holds(node)]


def items_are_found_once_and_bounded(seen: Ledger, event: Event) -> None:
    if isinstance(event, ItemsFound):
        node = seen.plan.nodes[event.stage]
        assert node.foreach is not None
        assert event.stage not in seen.unfolded
        target = node.refs[node.foreach.over.partition(".")[0]]
        there = seen.values[target]["items"] if target in seen.done else None
        if there is None or len(there) > node.foreach.max:
            assert event.problem
        else:
            assert [item.value for item in event.items] == there


def answers_count_for_the_tree_that_was_shown(seen: Ledger, event: Event) -> None:
    if isinstance(event, ApprovalAsked):
        assert event.tree == seen.tree
        assert event.stage in seen.doors()
        assert seen.may_start(event.stage)
    if isinstance(event, StageStarted):
        kinds = {seen.plan.nodes[need].kind for need in seen.plan.nodes[event.stage].needs}
        if Kind.APPROVAL in kinds:
            assert all(seen.is_done(need) for need in seen.plan.nodes[event.stage].needs)


def what_an_agent_asks_is_asked_and_awaited(seen: Ledger, event: Event) -> None:
    if isinstance(event, ApprovalAsked):
        assert event.stage in seen.wonders or seen.plan.nodes[event.stage].kind is Kind.APPROVAL
    if isinstance(event, StageStarted):
        assert event.stage not in seen.wonders


def what_an_agent_asks_is_asked_once(seen: Ledger, event: Event) -> None:
    if isinstance(event, ApprovalAsked) and event.stage in seen.asked:
        assert seen.plan.nodes[event.stage].kind is Kind.APPROVAL
        assert seen.asked[event.stage].tree != event.tree


def where_there_is_nothing_to_do_nothing_is_done(seen: Ledger, event: Event) -> None:
    by_a_person = (
        RunOpened | CancelRequested | Answered | LimitsRaised | StageCancelled | TakenBack | Invoked
    )
    if seen.needless:
        assert isinstance(event, StageFinished | RunFinished | by_a_person)


def never_over_the_budget(seen: Ledger, event: Event) -> None:
    if (
        isinstance(event, StageStarted)
        and seen.usd is not None
        and seen.plan.nodes[event.stage].kind is Kind.AGENT
    ):
        own = seen.plan.nodes[event.stage].limits.usd or 0.0
        assert seen.spent < seen.usd
        assert seen.spent + sum(seen.reserved.values()) + own <= seen.usd + 1e-9


def never_beyond_the_time_for_the_run(seen: Ledger, event: Event) -> None:
    if isinstance(event, StageStarted) and seen.wall_s is not None:
        assert seen.awake_s < seen.wall_s


def revisions_are_bounded(seen: Ledger, event: Event) -> None:
    if isinstance(event, TakenBack) and event.reason.endswith(": revise"):
        stage = event.reason.removesuffix(": revise")
        rule = seen.plan.nodes[stage].approval
        assert rule is not None
        assert seen.revisions[stage] <= rule.revisions
        assert set(seen.plan.nodes[stage].needs) <= set(event.stages)
        assert not seen.final


def what_is_taken_back_is_all_that_builds_on_it(seen: Ledger, event: Event) -> None:
    if isinstance(event, TakenBack):
        taken = set(event.stages)
        assert taken.isdisjoint(seen.running)
        for name in taken:
            builds = [other for other in seen.plan.nodes.values() if name in other.needs]
            assert taken.issuperset(other.id for other in builds)
            assert seen.plan.nodes[name].parent in {None, *taken}


def done_means_every_stage_is_done(seen: Ledger, event: Event) -> None:
    if isinstance(event, RunFinished) and event.end is RunEnd.DONE:
        main = [node for node in seen.plan.nodes.values() if node.workflow == seen.plan.workflow]
        assert all(seen.is_done(node.id) for node in main if not seen.is_forgotten(node.id))


def the_end_tells_the_truth(seen: Ledger, event: Event) -> None:
    if isinstance(event, RunFinished):
        assert not seen.running
        assert seen.cancelled == (event.end is RunEnd.CANCELLED)
        assert seen.cancelled or seen.needless == (event.end is RunEnd.NOTHING_TO_DO)
        assert seen.cancelled or seen.needless or seen.failed == (event.end is RunEnd.FAILED)


def follow_ups_start_once(seen: Ledger, event: Event) -> None:
    if isinstance(event, WorkflowStarted):
        assert event.workflow in seen.exhausted
        assert event.workflow not in seen.followed
        assert not seen.running
        assert not seen.cancelled
        assert not seen.draining
    if isinstance(event, RunFinished) and event.end not in {RunEnd.CANCELLED, RunEnd.NOTHING_TO_DO}:
        assert not seen.exhausted, "nobody looked for the cause"


ORACLES: tuple[Callable[[Ledger, Event], None], ...] = (
    never_more_than_parallel,
    never_two_holders,
    starts_stand_on_done_needs,
    attempts_stay_in_budget,
    rounds_stay_in_bounds,
    loops_end_for_a_reason,
    loops_are_judged_when_all_is_quiet,
    nothing_starts_that_is_in_vain,
    done_means_every_stage_is_done,
    the_end_tells_the_truth,
    follow_ups_start_once,
    conditions_are_answered_truly,
    items_are_found_once_and_bounded,
    answers_count_for_the_tree_that_was_shown,
    never_over_the_budget,
    what_is_taken_back_is_all_that_builds_on_it,
    never_beyond_the_time_for_the_run,
    revisions_are_bounded,
    what_an_agent_asks_is_asked_and_awaited,
    what_an_agent_asks_is_asked_once,
    where_there_is_nothing_to_do_nothing_is_done,
)
ORACLES_OF_INVOKING = (
    what_an_agent_asks_is_asked_and_awaited,
    where_there_is_nothing_to_do_nothing_is_done,
    never_more_than_parallel,
    never_two_holders,
    an_invoked_stage_runs_alone,
    done_means_every_stage_is_done,
)


def never_stuck(seen: Ledger, commands: list[Command]) -> None:
    assert commands or seen.running or seen.draining


def nothing_waits_without_a_cause(seen: Ledger, commands: list[Command], now: datetime) -> None:
    """After the starts of one decision: whoever still could start has no slot, lock or time to do
    so.
    """
    settled = all(isinstance(command, Start | WaitUntil | Ask | Expire) for command in commands)
    if (
        not settled
        or seen.only
        or seen.final
        or seen.cancelled
        or seen.needless
        or seen.draining
        or len(seen.running) == seen.plan.parallel
    ):
        return
    for stage in seen.doors():
        idle = stage in seen.parked or seen.later.get(stage, now) > now
        lost_round = not seen.red.isdisjoint(seen.chain(stage))
        node = seen.plan.nodes[stage]
        if node.kind is Kind.APPROVAL or stage in seen.wonders:
            assert not seen.may_start(stage) or lost_round or stage in seen.asked, (
                f"nobody was asked about {stage}"
            )
            continue
        if node.kind is Kind.AGENT and seen.usd is not None:
            continue
        if seen.may_start(stage) and not idle and not lost_round:
            assert not seen.held().isdisjoint(seen.plan.nodes[stage].locks), (
                f"{stage} could have started"
            )


def replay_equals_live(plan: Plan, journal: list[bytes], live: RunState) -> None:
    replayed = fold(plan, [decode(line) for line in journal])
    names = [name for name in vars(live) if not name.startswith("_") and name != "plan"]
    assert replayed.plan.nodes == live.plan.nodes
    for name in (*names, "is_all_over", "exit_code"):
        assert getattr(replayed, name) == getattr(live, name), name


def most_attempts(plan: Plan) -> int:
    """Count the attempts of a run in which everything goes wrong as often as it may."""
    total = 0
    for node in [*plan.nodes.values()]:
        rounds = 1
        for loop in plan.loops_around(node.id):
            rounds *= loop.loop.max if loop.loop else 1
        total += rounds * (1 + node.retry.max + node.retry.lost + node.retry.quota)
    return total + sum(9 * len(nodes) for nodes in plan.bodies.values())


Reply = Callable[["Walk", str], StageFinished | CancelRequested]


class Walk:
    """The engine's part, with a world that answers as it likes."""

    def __init__(
        self,
        plan: Plan,
        answer: Reply,
        rnd: Random | None = None,
        *,
        parks: int = 4,
        invoked: int = 0,
        deaf: bool = False,
    ) -> None:
        self.plan = plan
        self.answer = answer
        self.rnd = rnd
        self.mishap = rnd.choice((0.05, 0.15, 0.4)) if rnd else 0.0
        self.parks_left = parks
        self.deaf = deaf
        self.invocations_left = invoked
        self.oracles = ORACLES_OF_INVOKING if invoked else ORACLES
        self.now = NOON
        self.journal: list[bytes] = []
        self.seen = Ledger(plan)
        self.worked_s = self.awake_s = 0.0
        self.persons_left = 4
        self.to_end: dict[str, Outcome] = {}
        self.started: list[str] = []
        born = RunStarted(
            at=NOON,
            run_id="r",
            workflow=plan.workflow,
            feature="f",
            idea="i",
            base="b",
            base_branch="main",
        )
        self.state = begin(plan, born)
        self.seen.plan = self.state.plan
        self.note(born)

    def write(self, event: Event) -> None:
        for oracle in self.oracles:
            oracle(self.seen, event)
        apply(self.state, event)
        self.note(event)

    def note(self, event: Event) -> None:
        self.seen.note(event)
        self.journal.append(encode(event))
        replay_equals_live(self.plan, self.journal, self.state)

    def run(self) -> RunState:
        """Go on until the run ends, or is parked and nobody takes it up again."""
        for _ in range(60 + 6 * most_attempts(self.plan)):
            asked_at = self.now
            commands = decide(
                self.state,
                asked_at,
                self.plan.parallel,
                awake_s=self.awake_s,
                draining=self.seen.draining,
            )
            never_stuck(self.seen, commands)
            if not all(self.act(command) for command in commands):
                return self.state
            if self.oracles is ORACLES:
                nothing_waits_without_a_cause(self.seen, commands, asked_at)
            self.let_something_happen()
        pytest.fail("the walk has no end")

    def act(self, command: Command) -> bool:
        """Carry a command out; False when nothing more will happen."""
        match command:
            case Start(stage):
                self.started.append(stage)
                self.write(
                    StageStarted(at=self.now, stage=stage, attempt=self.seen.attempts[stage] + 1)
                )
            case NextRound(loop, number, told):
                self.write(RoundStarted(at=self.now, loop=loop, round=number, feedback=told))
            case EndLoop(loop, passed, reason):
                self.write(LoopFinished(at=self.now, loop=loop, passed=passed, reason=reason))
            case StartWorkflow(workflow, reason):
                self.write(WorkflowStarted(at=self.now, workflow=workflow, reason=reason))
            case WaitUntil(at):
                assert at > self.now
                self.now = self.now if self.seen.running else at
            case Judge(stage, verdict, reason):
                self.write(
                    ConditionAnswered(at=self.now, stage=stage, result=verdict, reason=reason)
                )
            case Unfold(stage, items, problem):
                self.write(ItemsFound(at=self.now, stage=stage, items=items, problem=problem))
            case Ask(stage, until):
                self.write(
                    ApprovalAsked(
                        at=self.now, stage=stage, tree=self.state.product.tree, until=until
                    )
                )
            case Expire(stage):
                until = self.seen.asked[stage].until
                assert until is not None
                assert until <= self.now
                self.write(
                    Answered(
                        at=self.now,
                        stage=stage,
                        answer=Answer.EXPIRED,
                        tree=self.seen.asked[stage].tree,
                    )
                )
            case TakeBack(stages, told, reason):
                assert told
                self.write(
                    TakenBack(
                        at=self.now, stages=stages, reason=reason, feedback=told, tree="tree d"
                    )
                )
            case Park(stop, reason):
                assert reason
                assert not self.seen.running
                assert not stop.waits_for_person or self.waits_for_a_person()
                self.write(RunParked(at=self.now, stop=stop, reason=reason))
                assert self.state.exit_code == stop.exit_code
                self.parks_left -= 1
                self.open_again()
                if stop.waits_for_person and not self.deaf:
                    self.help_on()
                return self.parks_left > 0
            case Rest():
                self.open_again()
            case Cancel(stage, park):
                assert stage in self.seen.running
                self.to_end[stage] = (
                    Outcome.PARKED if park or self.seen.needless else Outcome.CANCELLED
                )
            case Finish(end, reason):
                self.write(RunFinished(at=self.now, end=end, reason=reason))
                return self.go_back() or (self.invocations_left > 0 and self.open_again())
        return True

    def open_again(self) -> bool:
        """Take the run up again, now and then for one stage only."""
        self.write(RunOpened(at=self.now, pid=1))
        leaves = sorted(node.id for node in self.plan.leaves() if node.kind is not Kind.APPROVAL)
        if (
            self.rnd
            and leaves
            and self.invocations_left
            and (self.state.end or self.rnd.randint(0, 1))
        ):
            self.invocations_left -= 1
            self.write(Invoked(at=self.now, stage=self.rnd.choice(leaves)))
        return self.state.end is None

    def waits_for_a_person(self) -> bool:
        return (
            bool(self.open_questions()) or self.seen.usd is not None or self.seen.wall_s is not None
        )

    def open_questions(self) -> dict[str, ApprovalAsked]:
        """List what a person can answer; where stages are invoked, the onlooker does not know what
        a rebuild closes.
        """
        return self.seen.asked if self.oracles is ORACLES else self.state.agenda.asked

    def help_on(self) -> None:
        """Do what a person does for whom a run waits: answer, or raise the limits."""
        if self.open_questions():
            self.reply(self.rnd.choice(list(Answer)) if self.rnd else Answer.APPROVE)
        else:
            self.write(LimitsRaised(at=self.now, usd=(self.seen.usd or 0.0) + 5.0, wall_s=1e9))

    def go_back(self) -> bool:
        """Let a person have a stage of a run that is over run again, now and then: the one that
        failed, or any.
        """
        if (
            self.rnd is None
            or self.oracles is not ORACLES
            or not self.persons_left
            or self.rnd.randint(0, 2) == 0
        ):
            return False
        self.persons_left -= 1
        taken = closure(self.state, [self.rnd.choice(self.seen.final or self.everyone())])
        if blocking_failures(self.state, taken):
            return False
        self.write(TakenBack(at=self.now, stages=tuple(taken), reason="again", tree="t"))
        return self.open_again()

    def everyone(self) -> list[str]:
        """List the stages of the main workflow that a person can name."""
        names = sorted(
            node.id for node in self.state.plan.leaves() if node.workflow == self.plan.workflow
        )
        return [stage for stage in names if not self.seen.is_forgotten(stage)]

    def reply(self, answer: Answer) -> None:
        """Answer an open question, now and then with a word that does not answer it."""
        stage = (
            self.rnd.choice(sorted(self.open_questions()))
            if self.rnd
            else min(self.open_questions())
        )
        tree = self.open_questions()[stage].tree
        self.write(Answered(at=self.now, stage=stage, answer=answer, tree=tree, comment="smaller"))

    def step_in(self, rnd: Random) -> None:
        """Let a person do something out of the blue."""
        self.persons_left -= 1
        stage = rnd.choice(self.everyone())
        match rnd.randint(0, 3):
            case 0 if not self.seen.running and not blocking_failures(
                self.state, taken := closure(self.state, [stage])
            ):
                self.write(TakenBack(at=self.now, stages=tuple(taken), reason="again", tree="t"))
            case 1:
                self.write(StageCancelled(at=self.now, stage=stage, reason="enough"))
            case 2 if self.seen.asked:
                self.reply(rnd.choice(list(Answer)))
            case _:
                self.write(LimitsRaised(at=self.now, usd=(self.seen.usd or 0.0) + 1.0))

    def let_something_happen(self) -> None:
        if self.rnd is not None:
            self.awake_s += self.rnd.randint(0, 30)
            self.seen.awake_s = self.awake_s
            if (
                self.oracles is ORACLES
                and self.persons_left
                and self.rnd.randint(0, 15) == 0
                and not self.state.end
            ):
                self.step_in(self.rnd)
            roll = self.rnd.randint(0, 99)
            if roll > 97:
                self.kill()
            elif roll > 95:
                self.seen.draining = True
            elif roll > 94:
                self.write(CancelRequested(at=self.now))
            elif roll > 80:
                self.now += timedelta(seconds=10)
        if ending := sorted(self.seen.running & self.to_end.keys()):
            outcome = self.to_end.pop(ending[0])
            self.write(
                StageFinished(
                    at=self.now, stage=ending[0], attempt=1, outcome=outcome, reason="put off"
                )
            )
        elif self.seen.running:
            stage = (
                self.rnd.choice(sorted(self.seen.running)) if self.rnd else min(self.seen.running)
            )
            self.write(self.answer(self, stage))
        elif self.seen.draining:
            self.seen.draining = False
            self.open_again()

    def kill(self) -> None:
        """End the process and take the run up again from the journal; what ran is lost."""
        self.seen.draining = False
        self.to_end.clear()
        self.state = fold(self.plan, [decode(line) for line in self.journal])
        self.seen.plan = self.state.plan
        self.awake_s = self.seen.awake_s = 0.0
        self.write(RunOpened(at=self.now, pid=1))
        for stage in sorted(self.seen.running):
            self.write(
                StageFinished(
                    at=self.now, stage=stage, attempt=1, outcome=Outcome.LOST, reason="killed"
                )
            )


# Random flows and random answers.


OUT = {"out": Output(file="out.json", fields={"n": ("number",), "items": ("list",)})}
DOERS = {Kind.AGENT, Kind.RUN}


def random_plan(rnd: Random) -> Plan:
    names = (f"s{number}" for number in count())
    main = random_stages(rnd, names, 2, ["fail", "triage"])
    if rnd.randint(0, 1):
        main["publish"] = Stage(
            publish=Publish(), needs=tuple(map(Name, main)), lock=(Name("publisher"),)
        )
    workflows = {
        "main": Workflow(stages=main),
        "triage": Workflow(stages=random_stages(rnd, names, 1, ["fail", "deeper"], calls=False)),
        "deeper": Workflow(stages=random_stages(rnd, names, 0, ["fail"], calls=False)),
        "called": Workflow(stages=random_stages(rnd, names, 1, ["fail"], calls=False)),
    }
    usd = rnd.choice((None, None, 3.0, 20.0))
    limits = Limits(
        parallel=rnd.randint(1, 3), usd=usd, wall_s=rnd.choice((None, None, Duration(400.0)))
    )
    flow = Flow(
        version=1,
        targets=(),
        workflows=workflows,
        locks={name: Lock() for name in ("one", "two", "publisher")},
        agents={"role": Role(prompt="p")},
        limits=limits,
    )
    return compile_plan(flow, "main")


def random_stages(
    rnd: Random, names: Iterator[str], depth: int, follow_ups: list[str], *, calls: bool = True
) -> dict[str, Stage]:
    stages: dict[str, Stage] = {}
    for _ in range(rnd.randint(1, 2 + depth)):
        needs = tuple(Name(name) for name in stages if rnd.randint(0, 2) == 0)
        stage = random_stage(
            rnd, names, depth, follow_ups, {need: stages[need] for need in needs}, calls=calls
        )
        stages[next(names)] = msgspec.structs.replace(stage, needs=needs)
    declared = list(stages.items())
    rnd.shuffle(declared)
    return dict(declared)


def random_stage(
    rnd: Random,
    names: Iterator[str],
    depth: int,
    follow_ups: list[str],
    needed: dict[str, Stage],
    *,
    calls: bool,
) -> Stage:
    stage = random_shape(rnd, names, depth, follow_ups, needed, calls=calls)
    if needed and rnd.randint(0, 2) == 0:
        target = rnd.choice(sorted(needed))
        words = ["done", "failed", "skipped"] + ["out.n == 1"] * 2 * (
            kind_of(needed[target]) in DOERS
        )
        no = "" if (word := rnd.choice(words)).startswith("out") else rnd.choice(("", "not "))
        stage = msgspec.structs.replace(stage, when=Expression(f"{no}{target}.{word}"))
    return stage


def random_shape(
    rnd: Random,
    names: Iterator[str],
    depth: int,
    follow_ups: list[str],
    needed: dict[str, Stage],
    *,
    calls: bool,
) -> Stage:
    lists = sorted(name for name, stage in needed.items() if kind_of(stage) in DOERS)
    shapes = ["run", "run", "agent"]
    if depth:
        shapes = (
            ["run", "agent", "approval", "parallel", "loop", "loop"]
            + ["call"] * calls
            + ["foreach"] * 2 * bool(lists)
        )
    shape = rnd.choice(shapes)
    if shape in {"run", "agent"}:
        return random_doer(rnd, shape, follow_ups)
    if shape == "approval":
        timeout = rnd.choice((None, Duration(30.0)))
        return Stage(
            approval=Approval(ask=Template("well?"), timeout_s=timeout, revisions=rnd.randint(0, 2))
        )
    if shape == "call":
        return Stage(workflow=Name("called"))
    inner = random_stages(rnd, names, depth - 1, follow_ups, calls=False)
    if shape == "foreach":
        over = Expression(f"{rnd.choice(lists)}.out.items")
        return Stage(foreach=Foreach(over=over, max=rnd.randint(1, 3)), stages=inner)
    if shape == "parallel":
        return Stage(
            parallel=inner,
            gates=(GateName.FINDINGS,) if rnd.randint(0, 1) else (),
            retry=random_retry(rnd),
        )
    return random_loop(rnd, names, inner, follow_ups)


def random_doer(rnd: Random, shape: str, follow_ups: list[str]) -> Stage:
    lock = tuple(Name(name) for name in ("one", "two") if rnd.randint(0, 2) == 0)
    on_failure = Name(rnd.choice(("fail", "fail", "continue", follow_ups[-1])))
    limits = (
        StageLimits(usd=rnd.choice((None, 1.0, 2.0)), tokens=Count(5)) if shape == "agent" else None
    )
    return Stage(
        run=None if shape == "agent" else "true",
        agent=Name("role") if shape == "agent" else None,
        lock=lock,
        retry=random_retry(rnd),
        outputs=OUT,
        on_failure=on_failure,
        limits=limits,
        may=tuple(word for word in May if shape == "agent" and rnd.randint(0, 2) == 0),
    )


def random_retry(rnd: Random) -> Retry:
    on = tuple(kind for kind in FailureKind if rnd.randint(0, 1))
    return Retry(max=rnd.randint(0, 2), on=on, lost=rnd.randint(0, 3), quota=rnd.randint(0, 2))


def random_loop(
    rnd: Random, names: Iterator[str], inner: dict[str, Stage], follow_ups: list[str]
) -> Stage:
    able = [
        name
        for name, stage in inner.items()
        if stage.workflow is None and stage.foreach is None and not stage.when
    ]
    until = rnd.choice(sorted(able)) if able else next(names)
    deciding = inner.get(until, Stage(run="true"))
    gates = () if deciding.loop or deciding.approval else (GateName.FINDINGS,)
    inner[until] = msgspec.structs.replace(deciding, gates=gates, on_failure=Name("fail"))
    loop = Loop(
        until=f"{until}.passed",
        max=rnd.randint(1, 4),
        no_progress=rnd.randint(1, 4),
        on_exhausted=Name(rnd.choice(follow_ups)),
    )
    return Stage(loop=loop, stages=inner)


def random_answer(walk: Walk, stage: str) -> StageFinished:
    rnd = walk.rnd
    assert rnd is not None
    tree = rnd.choice(("", "tree a", "tree b", "tree c"))
    after = walk.now + timedelta(seconds=rnd.randint(1, 30)) if rnd.randint(0, 1) else None
    finished = StageFinished(
        at=walk.now,
        stage=stage,
        attempt=walk.seen.attempts[stage],
        outcome=Outcome.DONE,
        tree=tree,
        values={"out": {"n": rnd.randint(0, 2), "items": list(range(rnd.randint(0, 3)))}},
        usage=Usage(cost_usd=rnd.choice((None, 0.0, 0.5, 1.5))),
    )
    is_gated = bool(walk.state.plan.nodes[stage].gates)
    if (instead := random_word(walk, stage)) is not None:
        return msgspec.structs.replace(finished, outcome=instead, tree="", values={}, reason="well")
    if rnd.random() > walk.mishap * (2 if is_gated else 1):
        return finished
    failure = rnd.choice(("red a", "red b", "red c"))
    if is_gated and rnd.randint(0, 3):
        return red(walk, stage, failure=failure, tree=tree)
    match rnd.randint(0, 5):
        case 0 | 1:
            return msgspec.structs.replace(finished, outcome=Outcome.LOST)
        case 2 if walk.parks_left:
            walk.parks_left -= 1
            kind = rnd.choice((None, FailureKind.QUOTA))
            return msgspec.structs.replace(
                finished,
                outcome=Outcome.PARKED,
                reason="waits",
                retry_after=after,
                kind=kind,
                usage=Usage(),
            )
        case _:
            kind = rnd.choice(walk.state.plan.nodes[stage].retry.on * 4 + tuple(FailureKind))
            return msgspec.structs.replace(
                finished, outcome=Outcome.FAILED, kind=kind, reason=failure, retry_after=after
            )


def random_word(walk: Walk, stage: str) -> Outcome | None:
    """Let an agent ask a person, or say that there is nothing to do, if it may."""
    rnd, node = walk.rnd, walk.state.plan.nodes[stage]
    assert rnd is not None
    if May.ASK in node.may and rnd.random() < 0.4:
        return Outcome.ASKS
    return Outcome.DECLINED if May.DECLINE in node.may and rnd.random() < 0.2 else None


def red(walk: Walk, stage: str, *, failure: str, tree: str) -> StageFinished:
    gate = GateResult(
        gate=GateName.FINDINGS,
        verdict=GateVerdict.FAILED,
        tree=tree,
        detail="no",
        failures=(failure,),
    )
    return StageFinished(
        at=walk.now,
        stage=stage,
        attempt=walk.seen.attempts[stage],
        outcome=Outcome.FAILED,
        kind=FailureKind.GATE,
        tree=tree,
        gates=(gate,),
    )


@settings(PROFILE)
@given(st.randoms(use_true_random=True))
def test_no_walk_breaks_a_rule(rnd: Random) -> None:
    shown(Walk(random_plan(rnd), random_answer, rnd))


@settings(PROFILE, max_examples=200)
@given(st.randoms(use_true_random=True))
def test_no_walk_with_a_person_who_invokes_stages_breaks_a_rule(rnd: Random) -> None:
    shown(Walk(random_plan(rnd), random_answer, rnd, invoked=3))


def shown(walk: Walk) -> None:
    try:
        walk.run()
    finally:
        note("\n".join(repr(node) for node in walk.state.plan.nodes.values()))
        note(b"\n".join(walk.journal).decode())


# Adversaries: a world that answers with one thing only.


def always(
    outcome: Outcome, kind: FailureKind | None = None
) -> Callable[["Walk", str], StageFinished]:
    def answer(walk: Walk, stage: str) -> StageFinished:
        number = walk.seen.attempts[stage]
        return StageFinished(
            at=walk.now, stage=stage, attempt=number, outcome=outcome, kind=kind, reason="so be it"
        )

    return answer


def red_gates(
    failures: Iterator[str], trees: Iterator[str]
) -> Callable[["Walk", str], StageFinished]:
    """Answer red wherever there is a gate, and done elsewhere."""

    def answer(walk: Walk, stage: str) -> StageFinished:
        if walk.state.plan.nodes[stage].gates:
            return red(walk, stage, failure=next(failures), tree=next(trees))
        return always(Outcome.DONE)(walk, stage)

    return answer


def different(word: str) -> Iterator[str]:
    return (word + "x" * number for number in count())


def plan_of(
    main: dict[str, Stage], triage: dict[str, Stage] | None = None, parallel: int = 4
) -> Plan:
    workflows = {"main": Workflow(stages=main), "triage": Workflow(stages=triage or {})}
    limits = Limits(parallel=parallel)
    flow = Flow(version=1, targets=(), workflows=workflows, locks={"one": Lock()}, limits=limits)
    return compile_plan(flow, "main")


def build_and_verify(
    rounds: int = 5, no_progress: int = 9, on_exhausted: str = "fail"
) -> dict[str, Stage]:
    loop = Loop(
        until="verify.passed", max=rounds, no_progress=no_progress, on_exhausted=Name(on_exhausted)
    )
    stages = {
        "develop": Stage(run="true"),
        "verify": Stage(run="true", needs=(Name("develop"),), gates=(GateName.GREEN,)),
    }
    return {"build": Stage(loop=loop, stages=stages)}


def test_a_gate_that_is_always_red_ends_the_loop_after_its_rounds() -> None:
    walk = Walk(plan_of(build_and_verify(rounds=5)), red_gates(different("red"), different("tree")))
    assert walk.run().end is RunEnd.FAILED
    assert walk.started == ["develop", "verify"] * 5


def test_the_same_failure_ends_the_loop_early() -> None:
    walk = Walk(
        plan_of(build_and_verify(no_progress=3)), red_gates(repeat("red"), different("tree"))
    )
    assert walk.run().end is RunEnd.FAILED
    assert walk.started == ["develop", "verify"] * 3


def test_the_same_tree_ends_the_loop_early() -> None:
    walk = Walk(
        plan_of(build_and_verify(no_progress=3)), red_gates(different("red"), repeat("tree"))
    )
    assert walk.run().end is RunEnd.FAILED
    assert walk.started == ["develop", "verify"] * 3


def test_failures_that_take_turns_use_all_rounds() -> None:
    walk = Walk(plan_of(build_and_verify(no_progress=2)), red_gates(cycle("ab"), cycle("xyz")))
    assert walk.run().end is RunEnd.FAILED
    assert walk.started == ["develop", "verify"] * 5


def test_an_exhausted_loop_starts_its_follow_up_once_and_the_run_fails_all_the_same() -> None:
    plan = plan_of(
        build_and_verify(rounds=2, on_exhausted="triage"), triage={"look": Stage(run="true")}
    )
    walk = Walk(plan, red_gates(different("red"), different("tree")))
    assert walk.run().end is RunEnd.FAILED
    assert walk.started == ["develop", "verify", "develop", "verify", "triage:look"]


def test_loops_in_loops_multiply_their_rounds_and_no_more() -> None:
    loop = Loop(until="build.passed", max=2, no_progress=9)
    outer = {"deliver": Stage(loop=loop, stages=build_and_verify(rounds=3))}
    walk = Walk(plan_of(outer), red_gates(different("red"), different("tree")))
    assert walk.run().end is RunEnd.FAILED
    assert walk.started == ["develop", "verify"] * 6


def test_a_stage_that_is_always_lost_uses_up_its_budget_for_losses_only() -> None:
    walk = Walk(plan_of({"a": Stage(run="true", retry=Retry(max=0, lost=4))}), always(Outcome.LOST))
    assert walk.run().end is RunEnd.FAILED
    assert walk.started == ["a"] * 5


def test_a_failure_that_is_worth_another_attempt_uses_up_its_own_budget_only() -> None:
    stage = Stage(run="true", retry=Retry(max=2, on=(FailureKind.TIMEOUT,), lost=0))
    walk = Walk(plan_of({"a": stage}), always(Outcome.FAILED, FailureKind.TIMEOUT))
    assert walk.run().end is RunEnd.FAILED
    assert walk.started == ["a"] * 3


def test_a_failure_that_is_not_worth_another_attempt_is_final() -> None:
    stage = Stage(run="true", retry=Retry(max=2, on=(FailureKind.TIMEOUT,)))
    walk = Walk(plan_of({"a": stage}), always(Outcome.FAILED, FailureKind.VIOLATION))
    assert walk.run().end is RunEnd.FAILED
    assert walk.started == ["a"]


def test_a_lock_that_is_never_free_parks_the_run_and_uses_no_budget_up() -> None:
    stage = Stage(run="true", lock=(Name("one"),), retry=Retry(max=0, lost=0))
    walk = Walk(plan_of({"a": stage}), always(Outcome.PARKED), parks=20)
    assert walk.run().end is None
    assert walk.started == ["a"] * 20


def test_a_quota_that_is_never_given_back_parks_the_run_and_uses_no_retry_up() -> None:
    def answer(walk: Walk, stage: str) -> StageFinished:
        later = walk.now + timedelta(hours=1)
        quota = always(Outcome.PARKED, FailureKind.QUOTA)(walk, stage)
        return msgspec.structs.replace(quota, retry_after=later)

    walk = Walk(
        plan_of({"a": Stage(run="true", retry=Retry(max=0, lost=0, quota=3))}), answer, parks=2
    )
    assert walk.run().end is None
    assert walk.started == ["a"] * 5
    assert walk.now == NOON + timedelta(hours=3)


def approval(timeout_s: float | None = None) -> dict[str, Stage]:
    asks = Approval(ask=Template("well?"), timeout_s=Duration(timeout_s) if timeout_s else None)
    return {
        "a": Stage(run="true"),
        "ask": Stage(approval=asks, needs=(Name("a"),)),
        "b": Stage(run="true", needs=(Name("ask"),)),
    }


def test_an_approval_that_is_never_given_waits_for_ever_and_starts_nothing() -> None:
    walk = Walk(plan_of(approval()), always(Outcome.DONE), parks=20, deaf=True)
    assert walk.run().end is None
    assert walk.started == ["a"]


def test_an_approval_whose_time_is_up_ends_the_run() -> None:
    walk = Walk(plan_of(approval(timeout_s=30.0)), always(Outcome.DONE), parks=1, deaf=True)
    assert walk.run().end is None
    walk.now = NOON + timedelta(seconds=29)
    assert walk.run().end is None
    walk.now = NOON + timedelta(seconds=30)
    assert walk.run().end is RunEnd.FAILED
    assert walk.started == ["a"]


def test_a_budget_that_is_never_raised_parks_the_run_before_the_call_that_would_break_it() -> None:
    agents = {
        f"a{number}": Stage(agent=Name("role"), limits=StageLimits(usd=2.0)) for number in range(4)
    }
    flow = Flow(
        version=1,
        targets=(),
        workflows={"main": Workflow(stages=agents)},
        agents={"role": Role(prompt="p")},
        limits=Limits(parallel=4, usd=5.0),
    )
    walk = Walk(compile_plan(flow, "main"), always(Outcome.DONE), parks=5, deaf=True)
    assert walk.run().end is None
    assert walk.started == ["a0", "a1"]


def test_a_cancel_in_the_middle_of_a_loop_ends_what_runs_and_starts_nothing() -> None:
    def answer(walk: Walk, stage: str) -> StageFinished | CancelRequested:
        if len(walk.started) == 3:
            return CancelRequested(at=walk.now, reason="changed my mind")
        return red_gates(different("red"), different("tree"))(walk, stage)

    walk = Walk(plan_of(build_and_verify()), answer)
    state = walk.run()
    assert (state.end, state.reason) == (RunEnd.CANCELLED, "changed my mind")
    assert walk.started == ["develop", "verify", "develop"]
    assert not state.agenda.running
