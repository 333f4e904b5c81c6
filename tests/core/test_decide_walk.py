"""Random walks over `decide` and `RunState`: a tiny engine, and an oracle for every rule.

The oracles know the plan and the events, never `RunState`: `Ledger` is an onlooker's own book. What
turned each of them red (mutations tried by hand in a copy of the package, 76 in all, with `test_decide_rules.py`):

rule                               oracle                              mutations
at most `parallel` at once         never_more_than_parallel            `free` is 99; running ones not counted
one holder of a lock               never_two_holders                   check off; locks of one batch not added
needs, of groups around too        starts_stand_on_done_needs          unmet set to 0, at birth or in a next round
a stage waits for its time         starts_stand_on_done_needs          `not_before` not looked at
two budgets, only retried kinds    attempts_stay_in_budget             `again` always; `losses` not counted; `on` off
rounds are bounded                 rounds_stay_in_bounds               `loop.max` off, or one more; until ignored
no progress ends a loop            loops_end_for_a_reason              check off; only failures; only trees
... and not earlier                loops_end_for_a_reason              window one shorter; history kept too long
a loop is judged in peace          loops_are_judged_when_all_is_quiet  running stages below it not looked at
nothing starts in vain             nothing_starts_that_is_in_vain      drain off; a new round in a doomed run
done is done                       done_means_every_stage_is_done      end always DONE; one root not waited for
the end is the true one            the_end_tells_the_truth             budget one less; doom not waited out; cancel
follow-up: after its loop, once    follow_ups_start_once               asked for again; never; doom not looked at
what can start does start          nothing_waits_without_a_cause       a blocked stage blocks the rest; one at a time
there is always a next step        never_stuck                         Park left out
it ends                            the bound in `Walk.run`             cancel ignored
a journal is the whole truth       replay_equals_live                  a field not stored; a count outside the state
an invoked stage runs alone        an_invoked_stage_runs_alone         `only` not looked at, or never forgotten
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, cycle, repeat
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from pipeline.core.compiler import compile_plan
from pipeline.core.decide import (
    Cancel,
    Command,
    EndLoop,
    Finish,
    NextRound,
    Park,
    Rest,
    Start,
    StartWorkflow,
    WaitUntil,
    decide,
)
from pipeline.core.events import (
    CancelRequested,
    Event,
    GateResult,
    Invoked,
    LoopFinished,
    Outcome,
    RoundStarted,
    RunEnd,
    RunFinished,
    RunOpened,
    RunStarted,
    StageFinished,
    StageStarted,
    WorkflowStarted,
    decode,
    encode,
)
from pipeline.core.flow import FailureKind, Flow, GateName, Limits, Lock, Loop, Name, Publish, Retry, Stage, Workflow
from pipeline.core.plan import Kind, Plan
from pipeline.core.state import RunState, fold

PROFILE = settings(
    max_examples=400, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
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

    def below(self, node_id: str) -> Iterator[str]:
        for child in self.plan.nodes[node_id].children:
            yield child
            yield from self.below(child)

    def chain(self, node_id: str | None) -> Iterator[str]:
        while node_id is not None:
            yield node_id
            node_id = self.plan.nodes[node_id].parent

    def is_done(self, node_id: str) -> bool:
        node = self.plan.nodes[node_id]
        if node.kind is Kind.PARALLEL and not node.gates:
            return all(self.is_done(child) for child in node.children)
        return node_id in self.done

    def may_start(self, node_id: str) -> bool:
        """Everything needed is done, in this round, and the stage itself is neither done nor under way."""
        node = self.plan.nodes[node_id]
        needs = [need for around in self.chain(node_id) for need in self.plan.nodes[around].needs]
        fresh = node_id not in self.done and node_id not in self.running
        judged = any(around in self.done for around in self.chain(node.parent))
        return fresh and not judged and all(self.is_done(need) for need in (*needs, *node.children))

    def doors(self) -> Iterator[str]:
        """Go through what `Start` can name: stages, and groups with gates of their own."""
        for node in self.plan.nodes.values():
            if node.workflow == self.workflow and (node.is_leaf or (node.kind is Kind.PARALLEL and node.gates)):
                yield node.id

    def held(self) -> set[str]:
        return {lock for stage in self.running for lock in self.plan.nodes[stage].locks}

    def note(self, event: Event) -> None:
        match event:
            case StageStarted(stage=stage):
                self.running.add(stage)
                self.attempts[stage] += 1
                self.parked.discard(stage)
                self.later.pop(stage, None)
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
            case RunOpened():
                self.only = None
                for stage in self.parked:
                    self.later.pop(stage, None)
                self.parked.clear()
            case Invoked(stage=stage):
                self._invoked(stage)
            case CancelRequested():
                self.cancelled = True
            case _:
                pass

    def _invoked(self, stage: str) -> None:
        self.only = stage
        self.failed = self.cancelled = False
        self.final, self.exhausted = [], []
        self.done.discard(stage)
        self.not_retried.discard(stage)
        for table in (self.tries, self.losses):
            table.pop(stage, None)

    def _forget(self, loop: str) -> None:
        inside = set(self.below(loop))
        self.red.discard(loop)
        for book in (self.done, self.red, self.not_retried, self.parked):
            book.difference_update(inside)
        for table in (self.tries, self.losses, self.rounds, self.later, self.verdicts):
            for node_id in inside & table.keys():
                del table[node_id]

    def _finished(self, event: StageFinished) -> None:
        node = self.plan.nodes[event.stage]
        match event.outcome:
            case Outcome.DONE:
                self.done.add(node.id)
                self.tree = event.tree or self.tree
            case Outcome.FAILED:
                failures = tuple(failure for gate in event.gates for failure in gate.failures) or (event.reason,)
                self._failed(event, failures)
            case Outcome.LOST:
                self.losses[node.id] += 1
                if self.losses[node.id] > node.retry.lost:
                    self._fail_for_good(node.id)
            case Outcome.PARKED:
                self.parked.add(node.id)
                self._not_before(event)
            case Outcome.CANCELLED:
                self.done.add(node.id)

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
        self.told[loop] = failures
        self.verdicts.setdefault(loop, []).append((tuple(sorted(failures)), tree))

    def _exhausted(self, loop: str, reason: str) -> None:
        if self._is_until(loop):
            words = "".join(letter for letter in reason if not letter.isdigit())
            self._turn_red(loop, (words, *self.told.get(loop, ())), self.tree)
            return
        rule = self.plan.nodes[loop].loop
        if rule is not None and rule.on_exhausted != "fail":
            self.exhausted.append(rule.on_exhausted)
        self._fail_for_good(loop)

    def _fail_for_good(self, node_id: str) -> None:
        self.final.append(node_id)
        self.failed = True


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
        assert event.told == seen.told[event.loop] or seen.plan.nodes[str(seen.plan.nodes[event.loop].until)].loop


def loops_end_for_a_reason(seen: Ledger, event: Event) -> None:
    if not isinstance(event, RoundStarted | LoopFinished):
        return
    node = seen.plan.nodes[event.loop]
    assert node.loop is not None
    assert node.until is not None
    recent = seen.verdicts.get(node.id, [])[-node.loop.no_progress :]
    enough = len(recent) == node.loop.no_progress
    stuck = enough and (len({failure for failure, _ in recent}) == 1 or len({tree for _, tree in recent}) == 1)
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
        needs = [need for around in seen.chain(event.loop) for need in seen.plan.nodes[around].needs]
        assert all(seen.is_done(need) for need in needs)


def nothing_starts_that_is_in_vain(seen: Ledger, event: Event) -> None:
    if isinstance(event, StageStarted | RoundStarted):
        node_id = event.stage if isinstance(event, StageStarted) else seen.plan.nodes[event.loop].parent
        assert not seen.final
        assert not seen.cancelled
        assert not seen.draining
        assert seen.red.isdisjoint(seen.chain(node_id)), "the round is lost already"


def an_invoked_stage_runs_alone(seen: Ledger, event: Event) -> None:
    if seen.only is not None and not isinstance(event, RunOpened | StageFinished | CancelRequested):
        assert isinstance(event, StageStarted | RunFinished)
        assert not seen.running
        assert isinstance(event, StageStarted) or seen.cancelled
        assert isinstance(event, RunFinished) or event.stage == seen.only


def done_means_every_stage_is_done(seen: Ledger, event: Event) -> None:
    if isinstance(event, RunFinished) and event.end is RunEnd.DONE:
        main = [node for node in seen.plan.nodes.values() if node.workflow == seen.plan.workflow]
        assert all(seen.is_done(node.id) for node in main)


def the_end_tells_the_truth(seen: Ledger, event: Event) -> None:
    if isinstance(event, RunFinished):
        assert not seen.running
        assert seen.cancelled == (event.end is RunEnd.CANCELLED)
        assert seen.cancelled or seen.failed == (event.end is RunEnd.FAILED)


def follow_ups_start_once(seen: Ledger, event: Event) -> None:
    if isinstance(event, WorkflowStarted):
        assert event.workflow in seen.exhausted
        assert event.workflow not in seen.followed
        assert not seen.running
        assert not seen.cancelled
        assert not seen.draining
    if isinstance(event, RunFinished) and event.end is not RunEnd.CANCELLED:
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
)
ORACLES_OF_INVOKING = (
    never_more_than_parallel,
    never_two_holders,
    an_invoked_stage_runs_alone,
    done_means_every_stage_is_done,
)


def never_stuck(seen: Ledger, commands: list[Command]) -> None:
    assert commands or seen.running or seen.draining


def nothing_waits_without_a_cause(seen: Ledger, commands: list[Command], now: datetime) -> None:
    """After the starts of one decision: whoever still could start has no slot, lock or time to do so."""
    settled = all(isinstance(command, Start | WaitUntil) for command in commands)
    if (
        not settled
        or seen.only
        or seen.final
        or seen.cancelled
        or seen.draining
        or len(seen.running) == seen.plan.parallel
    ):
        return
    for stage in seen.doors():
        idle = stage in seen.parked or seen.later.get(stage, now) > now
        lost_round = not seen.red.isdisjoint(seen.chain(stage))
        if seen.may_start(stage) and not idle and not lost_round:
            assert not seen.held().isdisjoint(seen.plan.nodes[stage].locks), f"{stage} could have started"


def replay_equals_live(plan: Plan, journal: list[bytes], live: RunState) -> None:
    replayed = fold(plan, [decode(line) for line in journal])
    names = [name for name in vars(live) if not name.startswith("_") and name != "plan"]
    for name in (*names, "all_done"):
        assert getattr(replayed, name) == getattr(live, name), name


def most_attempts(plan: Plan) -> int:
    """Count the attempts of a run in which everything goes wrong as often as it may."""
    total = 0
    for node in plan.nodes.values():
        rounds = 1
        for loop in plan.loops_around(node.id):
            rounds *= loop.loop.max if loop.loop else 1
        total += rounds * (1 + node.retry.max + node.retry.lost)
    return total


Answer = Callable[["Walk", str], StageFinished | CancelRequested]


class Walk:
    """The engine's part, with a world that answers as it likes."""

    def __init__(
        self, plan: Plan, answer: Answer, rnd: Random | None = None, *, parks: int = 4, invoked: int = 0
    ) -> None:
        self.plan = plan
        self.answer = answer
        self.rnd = rnd
        self.mishap = rnd.choice((0.05, 0.15, 0.4)) if rnd else 0.0
        self.parks_left = parks
        self.invocations_left = invoked
        self.oracles = ORACLES_OF_INVOKING if invoked else ORACLES
        self.now = NOON
        self.journal: list[bytes] = []
        self.seen = Ledger(plan)
        self.state = RunState(plan)
        self.started: list[str] = []
        self.write(
            RunStarted(at=NOON, run_id="r", workflow=plan.workflow, feature="f", idea="i", base="b", base_branch="main")
        )

    def write(self, event: Event) -> None:
        for oracle in self.oracles:
            oracle(self.seen, event)
        self.seen.note(event)
        self.journal.append(encode(event))
        self.state.apply(event)
        replay_equals_live(self.plan, self.journal, self.state)

    def run(self) -> RunState:
        """Go on until the run ends, or is parked and nobody takes it up again."""
        for _ in range(60 + 6 * most_attempts(self.plan)):
            asked_at = self.now
            commands = decide(self.state, asked_at, self.plan.parallel, draining=self.seen.draining)
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
                self.write(StageStarted(at=self.now, stage=stage, attempt=self.seen.attempts[stage] + 1))
            case NextRound(loop, number, told):
                self.write(RoundStarted(at=self.now, loop=loop, round=number, told=told))
            case EndLoop(loop, passed, reason):
                self.write(LoopFinished(at=self.now, loop=loop, passed=passed, reason=reason))
            case StartWorkflow(workflow, reason):
                self.write(WorkflowStarted(at=self.now, workflow=workflow, reason=reason))
            case WaitUntil(at):
                assert at > self.now
                self.now = self.now if self.seen.running else at
            case Park(reason):
                assert reason
                assert not self.seen.running
                self.parks_left -= 1
                self.open_again()
                return self.parks_left > 0
            case Rest():
                self.open_again()
            case Cancel(stage):
                assert stage in self.seen.running
                self.write(StageFinished(at=self.now, stage=stage, attempt=1, outcome=Outcome.CANCELLED))
            case Finish(end, reason):
                self.write(RunFinished(at=self.now, end=end, reason=reason))
                return self.invocations_left > 0 and self.open_again()
        return True

    def open_again(self) -> bool:
        """Take the run up again, now and then for one stage only."""
        self.write(RunOpened(at=self.now, pid=1))
        if self.rnd and self.invocations_left and (self.state.end or self.rnd.randint(0, 1)):
            self.invocations_left -= 1
            leaves = sorted(node.id for node in self.plan.leaves())
            self.write(Invoked(at=self.now, stage=self.rnd.choice(leaves)))
        return self.state.end is None

    def let_something_happen(self) -> None:
        if self.rnd is not None:
            roll = self.rnd.randint(0, 99)
            if roll > 97:
                self.kill()
            elif roll > 95:
                self.seen.draining = True
            elif roll > 94:
                self.write(CancelRequested(at=self.now))
            elif roll > 80:
                self.now += timedelta(seconds=10)
        if self.seen.running:
            stage = self.rnd.choice(sorted(self.seen.running)) if self.rnd else min(self.seen.running)
            self.write(self.answer(self, stage))
        elif self.seen.draining:
            self.seen.draining = False
            self.open_again()

    def kill(self) -> None:
        """End the process and take the run up again from the journal; what ran is lost."""
        self.seen.draining = False
        self.state = fold(self.plan, [decode(line) for line in self.journal])
        self.write(RunOpened(at=self.now, pid=1))
        for stage in sorted(self.seen.running):
            self.write(StageFinished(at=self.now, stage=stage, attempt=1, outcome=Outcome.LOST, reason="killed"))


# Random flows and random answers.


def random_plan(rnd: Random) -> Plan:
    names = (f"s{number}" for number in count())
    main = random_stages(rnd, names, 2, ["fail", "triage"])
    if rnd.randint(0, 1):
        main["publish"] = Stage(publish=Publish(), needs=tuple(map(Name, main)), lock=(Name("publisher"),))
    workflows = {
        "main": Workflow(stages=main),
        "triage": Workflow(stages=random_stages(rnd, names, 1, ["fail", "deeper"])),
        "deeper": Workflow(stages=random_stages(rnd, names, 0, ["fail"])),
    }
    locks = {name: Lock() for name in ("one", "two", "publisher")}
    flow = Flow(version=1, targets=(), workflows=workflows, locks=locks, limits=Limits(parallel=rnd.randint(1, 3)))
    return compile_plan(flow, "main")


def random_stages(rnd: Random, names: Iterator[str], depth: int, follow_ups: list[str]) -> dict[str, Stage]:
    stages: dict[str, Stage] = {}
    for _ in range(rnd.randint(1, 2 + depth)):
        needs = tuple(Name(name) for name in stages if rnd.randint(0, 2) == 0)
        stage = random_stage(rnd, names, depth, follow_ups)
        stages[next(names)] = msgspec.structs.replace(stage, needs=needs)
    declared = list(stages.items())
    rnd.shuffle(declared)
    return dict(declared)


def random_stage(rnd: Random, names: Iterator[str], depth: int, follow_ups: list[str]) -> Stage:
    kinds = list(FailureKind)
    on = tuple(kind for kind in kinds if rnd.randint(0, 1))
    retry = Retry(max=rnd.randint(0, 2), on=on, lost=rnd.randint(0, 3))
    shape = rnd.choice(("run", "parallel", "loop", "loop")) if depth else "run"
    if shape == "run":
        lock = tuple(Name(name) for name in ("one", "two") if rnd.randint(0, 2) == 0)
        return Stage(run="true", lock=lock, retry=retry)
    inner = random_stages(rnd, names, depth - 1, follow_ups)
    if shape == "parallel":
        return Stage(parallel=inner, gates=(GateName.FINDINGS,) if rnd.randint(0, 1) else (), retry=retry)
    until = rnd.choice(sorted(inner))
    if inner[until].loop is None:
        inner[until] = msgspec.structs.replace(inner[until], gates=(GateName.FINDINGS,))
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
        at=walk.now, stage=stage, attempt=walk.seen.attempts[stage], outcome=Outcome.DONE, tree=tree
    )
    is_gated = bool(walk.plan.nodes[stage].gates)
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
            return msgspec.structs.replace(finished, outcome=Outcome.PARKED, reason="waits", retry_after=after)
        case _:
            kind = rnd.choice(walk.plan.nodes[stage].retry.on * 4 + tuple(FailureKind))
            return msgspec.structs.replace(
                finished, outcome=Outcome.FAILED, kind=kind, reason=failure, retry_after=after
            )


def red(walk: Walk, stage: str, *, failure: str, tree: str) -> StageFinished:
    gate = GateResult(gate=GateName.FINDINGS, passed=False, tree=tree, detail="no", failures=(failure,))
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
        note("\n".join(repr(node) for node in walk.plan.nodes.values()))
        note(b"\n".join(walk.journal).decode())


# Adversaries: a world that answers with one thing only.


def always(outcome: Outcome, kind: FailureKind | None = None) -> Callable[["Walk", str], StageFinished]:
    def answer(walk: Walk, stage: str) -> StageFinished:
        number = walk.seen.attempts[stage]
        return StageFinished(at=walk.now, stage=stage, attempt=number, outcome=outcome, kind=kind, reason="so be it")

    return answer


def red_gates(failures: Iterator[str], trees: Iterator[str]) -> Callable[["Walk", str], StageFinished]:
    """Answer red wherever there is a gate, and done elsewhere."""

    def answer(walk: Walk, stage: str) -> StageFinished:
        if walk.plan.nodes[stage].gates:
            return red(walk, stage, failure=next(failures), tree=next(trees))
        return always(Outcome.DONE)(walk, stage)

    return answer


def different(word: str) -> Iterator[str]:
    return (word + "x" * number for number in count())


def plan_of(main: dict[str, Stage], triage: dict[str, Stage] | None = None, parallel: int = 4) -> Plan:
    workflows = {"main": Workflow(stages=main), "triage": Workflow(stages=triage or {})}
    limits = Limits(parallel=parallel)
    flow = Flow(version=1, targets=(), workflows=workflows, locks={"one": Lock()}, limits=limits)
    return compile_plan(flow, "main")


def build_and_verify(rounds: int = 5, no_progress: int = 9, on_exhausted: str = "fail") -> dict[str, Stage]:
    loop = Loop(until="verify.passed", max=rounds, no_progress=no_progress, on_exhausted=Name(on_exhausted))
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
    walk = Walk(plan_of(build_and_verify(no_progress=3)), red_gates(repeat("red"), different("tree")))
    assert walk.run().end is RunEnd.FAILED
    assert walk.started == ["develop", "verify"] * 3


def test_the_same_tree_ends_the_loop_early() -> None:
    walk = Walk(plan_of(build_and_verify(no_progress=3)), red_gates(different("red"), repeat("tree")))
    assert walk.run().end is RunEnd.FAILED
    assert walk.started == ["develop", "verify"] * 3


def test_failures_that_take_turns_use_all_rounds() -> None:
    walk = Walk(plan_of(build_and_verify(no_progress=2)), red_gates(cycle("ab"), cycle("xyz")))
    assert walk.run().end is RunEnd.FAILED
    assert walk.started == ["develop", "verify"] * 5


def test_an_exhausted_loop_starts_its_follow_up_once_and_the_run_fails_all_the_same() -> None:
    plan = plan_of(build_and_verify(rounds=2, on_exhausted="triage"), triage={"look": Stage(run="true")})
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


def test_a_cancel_in_the_middle_of_a_loop_ends_what_runs_and_starts_nothing() -> None:
    def answer(walk: Walk, stage: str) -> StageFinished | CancelRequested:
        if len(walk.started) == 3:
            return CancelRequested(at=walk.now, reason="changed my mind")
        return red_gates(different("red"), different("tree"))(walk, stage)

    walk = Walk(plan_of(build_and_verify()), answer)
    state = walk.run()
    assert (state.end, state.reason) == (RunEnd.CANCELLED, "changed my mind")
    assert walk.started == ["develop", "verify", "develop"]
    assert not state.running
