"""The rules of `decide` one by one, on small plans: these events, then that decision."""

from datetime import UTC, datetime, timedelta

import pytest

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
from pipeline.core.effects import BranchEffect, PullRequestEffect, PushEffect
from pipeline.core.events import (
    CancelRequested,
    EffectDone,
    EffectIntended,
    Event,
    Invoked,
    LoopFinished,
    Noted,
    RoundStarted,
    RunFinished,
    RunOpened,
    RunStarted,
    StageFinished,
    StageStarted,
    WorkflowStarted,
)
from pipeline.core.evidence import GateResult, GateVerdict
from pipeline.core.fold import fold
from pipeline.core.memory import Status
from pipeline.core.outcomes import Outcome, RunEnd, StopReason
from pipeline.core.state import RunState
from pipeline.language.compiler import compile_plan
from pipeline.language.flow import (
    FailureKind,
    Flow,
    GateName,
    Limits,
    Lock,
    Loop,
    Retry,
    Stage,
    Workflow,
)
from pipeline.language.plan import Plan
from pipeline.language.words import Name

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=30)
BORN = RunStarted(
    at=NOON, run_id="r", workflow="main", feature="f", idea="i", base="b", base_branch="main"
)
OPENED = RunOpened(at=NOON, pid=1)


def plan_of(**workflows: dict[str, Stage]) -> Plan:
    compiled = {name: Workflow(stages=stages) for name, stages in workflows.items()}
    locks = {"one": Lock(), "two": Lock()}
    return compile_plan(
        Flow(version=1, targets=(), workflows=compiled, locks=locks, limits=Limits(parallel=4)),
        "main",
    )


def step(*needs: str, lock: str = "", retry: Retry | None = None, gated: bool = False) -> Stage:
    gates = (GateName.FINDINGS,) if gated else ()
    return Stage(
        run="true", needs=names(*needs), lock=names(lock) if lock else (), retry=retry, gates=gates
    )


def names(*words: str) -> tuple[Name, ...]:
    return tuple(Name(word) for word in words)


def loop(
    until: str, rounds: int = 3, no_progress: int = 2, on_exhausted: str = "fail", **stages: Stage
) -> Stage:
    rule = Loop(
        until=f"{until}.passed",
        max=rounds,
        no_progress=no_progress,
        on_exhausted=Name(on_exhausted),
    )
    return Stage(loop=rule, stages=stages)


def started(stage: str) -> StageStarted:
    return StageStarted(at=NOON, stage=stage, attempt=1)


def finished(
    stage: str,
    outcome: Outcome = Outcome.DONE,
    *,
    kind: FailureKind | None = None,
    reason: str = "",
    after: datetime | None = None,
) -> StageFinished:
    return StageFinished(
        at=NOON,
        stage=stage,
        attempt=1,
        outcome=outcome,
        kind=kind,
        reason=reason,
        retry_after=after,
        tree="t",
    )


def red(stage: str, *failures: str, tree: str = "t") -> StageFinished:
    gate = GateResult(
        gate=GateName.GREEN, verdict=GateVerdict.FAILED, tree=tree, detail="", failures=failures
    )
    return StageFinished(
        at=NOON,
        stage=stage,
        attempt=1,
        outcome=Outcome.FAILED,
        kind=FailureKind.GATE,
        reason="gate green failed",
        tree=tree,
        gates=(gate,),
    )


def next_round(name: str, number: int) -> RoundStarted:
    return RoundStarted(at=NOON, loop=name, round=number)


def exhausted(name: str) -> LoopFinished:
    return LoopFinished(at=NOON, loop=name, passed=False, reason="enough")


def after(plan: Plan, *events: Event) -> RunState:
    return fold(plan, (BORN, *events))


def decided(plan: Plan, *events: Event, now: datetime = NOON, parallel: int = 4) -> list[Command]:
    return decide(after(plan, *events), now, parallel)


# Starting.


def test_a_run_without_its_first_event_is_no_run() -> None:
    with pytest.raises(TypeError, match="first event"):
        fold(plan_of(main={"a": step()}), [started("a")])


def test_a_run_that_is_over_decides_nothing() -> None:
    assert decided(plan_of(main={"a": step()}), RunFinished(at=NOON, end=RunEnd.FAILED)) == []


def test_ready_stages_start_in_declared_order() -> None:
    plan = plan_of(main={"c": step(), "a": step(), "b": step()})
    assert decided(plan, parallel=2) == [Start("c"), Start("a")]


def test_a_stage_that_waits_for_a_lock_lets_later_ones_go_first() -> None:
    plan = plan_of(main={"a": step(lock="one"), "b": step(lock="one"), "c": step()})
    assert decided(plan) == [Start("a"), Start("c")]


def test_a_lock_is_free_again_when_its_holder_is_lost() -> None:
    plan = plan_of(main={"a": step(lock="one"), "b": step(lock="one")})
    events = (started("a"), finished("a", Outcome.LOST))
    assert decided(plan, *events, parallel=1) == [Start("a")]


def test_a_stage_waits_until_its_time_has_come() -> None:
    plan = plan_of(main={"a": step()})
    events = (started("a"), finished("a", Outcome.FAILED, kind=FailureKind.TRANSIENT, after=LATER))
    assert decided(plan, *events) == [WaitUntil(LATER)]
    assert decided(plan, *events, now=LATER) == [Start("a")]


def test_the_earliest_of_several_times_wakes_the_run() -> None:
    plan = plan_of(main={"a": step(), "b": step()})
    later = finished(
        "a", Outcome.FAILED, kind=FailureKind.TRANSIENT, after=LATER + timedelta(hours=1)
    )
    sooner = finished("b", Outcome.FAILED, kind=FailureKind.TRANSIENT, after=LATER)
    assert decided(plan, started("a"), started("b"), later, sooner) == [WaitUntil(LATER)]


def test_a_polite_stop_starts_nothing_and_ends_nothing() -> None:
    state = after(plan_of(main={"a": step(), "b": step("a")}), started("a"))
    assert decide(state, NOON, 4, draining=True) == []


def test_a_group_with_gates_is_checked_after_its_stages() -> None:
    group = Stage(parallel={"a": step(), "b": step()}, gates=(GateName.FINDINGS,))
    plan = plan_of(main={"group": group, "c": step("group")})
    both = (started("a"), started("b"), finished("a"), finished("b"))
    assert decided(plan, *both) == [Start("group")]
    assert decided(plan, *both, started("group"), finished("group")) == [Start("c")]


def test_a_group_waits_for_what_it_needs_before_any_of_its_stages() -> None:
    plan = plan_of(main={"a": step(), "group": Stage(parallel={"b": step()}, needs=names("a"))})
    assert decided(plan) == [Start("a")]
    assert decided(plan, started("a"), finished("a")) == [Start("b")]


# Failing.


def test_what_runs_beside_a_failure_is_left_to_finish() -> None:
    plan = plan_of(main={"a": step(), "b": step(), "c": step("b")})
    failure = (
        started("a"),
        started("b"),
        finished("a", Outcome.FAILED, kind=FailureKind.AGENT, reason="no"),
    )
    assert decided(plan, *failure) == []
    assert decided(plan, *failure, finished("b")) == [Finish(RunEnd.FAILED, "a failed: no")]


def test_waiting_for_a_lock_uses_no_retry_up() -> None:
    plan = plan_of(main={"a": step(retry=Retry(max=1, on=(FailureKind.TIMEOUT,)))})
    parked = (started("a"), finished("a", Outcome.PARKED), OPENED) * 3
    failure = (started("a"), finished("a", Outcome.FAILED, kind=FailureKind.TIMEOUT))
    assert decided(plan, *parked, *failure) == [Start("a")]


def test_a_crash_uses_no_retry_up() -> None:
    plan = plan_of(main={"a": step(retry=Retry(max=1, on=(FailureKind.TIMEOUT,)))})
    crash = (started("a"), finished("a", Outcome.LOST))
    failure = (started("a"), finished("a", Outcome.FAILED, kind=FailureKind.TIMEOUT))
    assert decided(plan, *crash, *failure) == [Start("a")]


def test_every_round_has_fresh_budgets() -> None:
    retry = Retry(max=1, on=(FailureKind.TIMEOUT,))
    plan = plan_of(main={"build": loop("v", d=step(retry=retry), v=step("d", gated=True))})
    failure = (started("d"), finished("d", Outcome.FAILED, kind=FailureKind.TIMEOUT))
    first = (
        *failure,
        started("d"),
        finished("d"),
        started("v"),
        red("v", "x"),
        next_round("build", 2),
    )
    assert decided(plan, *first, *failure) == [Start("d")]


def test_nothing_starts_in_a_follow_up_after_one_of_its_stages_failed() -> None:
    plan = plan_of(
        main={"build": loop("v", on_exhausted="triage", v=step(gated=True))},
        triage={"a": step(), "b": step(), "c": step("b")},
    )
    followed = (
        started("v"),
        red("v", "x"),
        exhausted("build"),
        WorkflowStarted(at=NOON, workflow="triage", reason=""),
    )
    a, b = "triage:a", "triage:b"
    failure = (
        started(a),
        started(b),
        finished(a, Outcome.FAILED, kind=FailureKind.AGENT),
        finished(b),
    )
    assert decided(plan, *followed, *failure) == [Finish(RunEnd.FAILED, "build: enough")]


def test_a_doomed_run_starts_no_new_round() -> None:
    plan = plan_of(main={"build": loop("v", v=step(gated=True)), "a": step()})
    events = (
        started("v"),
        started("a"),
        red("v", "x"),
        finished("a", Outcome.FAILED, kind=FailureKind.AGENT),
    )
    assert decided(plan, *events) == [Finish(RunEnd.FAILED, "a failed")]


# Loops.


def test_the_next_round_is_told_what_failed() -> None:
    plan = plan_of(main={"build": loop("v", v=step(gated=True))})
    assert decided(plan, started("v"), red("v", "x", "y")) == [NextRound("build", 2, ("x", "y"))]


def test_a_loop_remembers_what_its_round_was_told() -> None:
    plan = plan_of(main={"build": loop("v", v=step(gated=True))})
    second = RoundStarted(at=NOON, loop="build", round=2, feedback=("x, and a hint",))
    assert after(plan, started("v"), red("v", "x"), second).nodes["build"].feedback == (
        "x, and a hint",
    )


def test_a_red_gate_without_a_list_tells_its_reason() -> None:
    plan = plan_of(main={"build": loop("v", v=step(gated=True))})
    assert decided(plan, started("v"), red("v")) == [NextRound("build", 2, ("gate green failed",))]


def test_a_loop_in_a_loop_tells_why_it_ended_and_what_failed() -> None:
    outer = loop("build", build=loop("v", v=step(gated=True)))
    events = (started("v"), red("v", "x"), exhausted("build"))
    assert decided(plan_of(main={"outer": outer}), *events) == [
        NextRound("outer", 2, ("enough", "x"))
    ]


def test_a_loop_passes_when_its_gate_has_passed_and_all_its_stages_are_done() -> None:
    plan = plan_of(main={"build": loop("v", v=step(gated=True), w=step("v"))})
    gate = (started("v"), finished("v"))
    assert decided(plan, *gate) == [Start("w")]
    passed = EndLoop("build", passed=True, reason="passed in round 1")
    assert decided(plan, *gate, started("w"), finished("w")) == [passed]


def test_a_group_with_gates_can_decide_a_loop() -> None:
    group = Stage(parallel={"a": step()}, gates=(GateName.FINDINGS,))
    plan = plan_of(main={"build": loop("group", group=group)})
    events = (started("a"), finished("a"), started("group"), red("group", "x"))
    assert decided(plan, *events) == [NextRound("build", 2, ("x",))]


def test_no_progress_counts_at_the_end_not_at_the_beginning() -> None:
    plan = plan_of(main={"build": loop("v", rounds=9, no_progress=2, v=step(gated=True))})
    rounds = (
        *(started("v"), red("v", "x", tree="1"), next_round("build", 2)),
        *(started("v"), red("v", "y", tree="2"), next_round("build", 3)),
        *(started("v"), red("v", "y", tree="3")),
    )
    assert decided(plan, *rounds) == [
        EndLoop("build", passed=False, reason="no progress: the same failure in 2 round(s)")
    ]


def test_an_outer_round_gives_the_inner_loop_a_fresh_start() -> None:
    outer = loop("build", build=loop("v", rounds=2, v=step(gated=True)))
    first = (
        started("v"),
        red("v", "x"),
        next_round("build", 2),
        started("v"),
        red("v", "x"),
        exhausted("build"),
    )
    second = (next_round("outer", 2), started("v"), red("v", "x"))
    assert decided(plan_of(main={"outer": outer}), *first, *second) == [
        NextRound("build", 2, ("x",))
    ]


def test_a_red_round_starts_nothing_more() -> None:
    plan = plan_of(
        main={"build": loop("v", v=step(gated=True), a=step(), b=step("a"), slow=step())}
    )
    events = (started("v"), started("a"), started("slow"), finished("a"), red("v", "x"))
    assert decided(plan, *events) == []
    assert decided(plan, *events, finished("slow")) == [NextRound("build", 2, ("x",))]


def test_what_a_red_round_makes_ready_does_not_start() -> None:
    plan = plan_of(
        main={"build": loop("v", v=step(gated=True), a=step(), b=step("a"), slow=step())}
    )
    assert (
        decided(plan, started("v"), started("a"), started("slow"), red("v", "x"), finished("a"))
        == []
    )


def test_a_loop_in_a_red_round_is_not_judged_any_more() -> None:
    inner = loop("w", w=step(gated=True), slow=step())
    plan = plan_of(main={"outer": loop("v", v=step(gated=True), inner=inner)})
    events = (
        started("v"),
        started("w"),
        started("slow"),
        red("w", "y"),
        red("v", "x"),
        finished("slow"),
    )
    assert decided(plan, *events) == [NextRound("outer", 2, ("x",))]


def test_an_outer_round_forgets_what_an_inner_loop_waited_for() -> None:
    inner = loop("w", w=step(gated=True))
    plan = plan_of(main={"outer": loop("v", v=step(gated=True), inner=inner)})
    both_red = (started("v"), started("w"), red("v", "x"), red("w", "y"), next_round("outer", 2))
    assert decided(plan, *both_red) == [Start("v"), Start("w")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("assert 3 == 4 at tests/test_a.py:12", "assert 3 == 4 at tests/test_a.py:14"),
        ("<object at 0x7f01beef>", "<object at 0x7f02cafe>"),
        ("took 0.31 s", "took 0.29 s"),
    ],
)
def test_failures_that_differ_only_in_places_and_times_are_the_same(one: str, other: str) -> None:
    plan = plan_of(main={"build": loop("v", v=step(gated=True))})
    second = (next_round("build", 2), started("v"), red("v", other, tree="2"))
    commands = decided(plan, started("v"), red("v", one, tree="1"), *second)
    assert commands == [
        EndLoop("build", passed=False, reason="no progress: the same failure in 2 round(s)")
    ]


def test_fewer_failures_of_a_command_that_tells_only_its_exit_status_are_progress() -> None:
    plan = plan_of(main={"build": loop("v", v=step(gated=True))})
    said = "app::all: exit status 1: | FAIL: {} of 5 checks failed in 0.{}s"
    first, then = said.format(3, 1), said.format(2, 7)
    second = (next_round("build", 2), started("v"), red("v", then, tree="2"))
    commands = decided(plan, started("v"), red("v", first, tree="1"), *second)
    assert commands == [NextRound("build", 3, (then,))]


def test_tests_whose_names_differ_in_a_number_are_different_failures() -> None:
    plan = plan_of(main={"build": loop("v", v=step(gated=True))})
    second = (next_round("build", 2), started("v"), red("v", "test_step_2 failed", tree="2"))
    commands = decided(plan, started("v"), red("v", "test_step_1 failed", tree="1"), *second)
    assert commands == [NextRound("build", 3, ("test_step_2 failed",))]


# Follow-ups, parking, cancelling, ending.


def test_an_exhausted_loop_starts_the_workflow_that_looks_for_the_cause() -> None:
    plan = plan_of(
        main={"build": loop("v", on_exhausted="triage", v=step(gated=True))},
        triage={"look": step()},
    )
    events = (started("v"), red("v", "x"), exhausted("build"))
    assert decided(plan, *events) == [StartWorkflow("triage", "build: enough")]
    assert decided(plan, *events, WorkflowStarted(at=NOON, workflow="triage", reason="")) == [
        Start("triage:look")
    ]


def test_a_run_that_only_waits_for_locks_parks_and_says_who_waits_for_what() -> None:
    plan = plan_of(main={"a": step(), "b": step()})
    events = (
        started("a"),
        started("b"),
        finished("a", Outcome.PARKED, reason="waits for one"),
        finished("b"),
    )
    assert decided(plan, *events) == [Park(StopReason.INTERRUPTED, "a waits for one")]
    assert decided(plan, *events, OPENED) == [Start("a")]


def test_a_parked_stage_is_tried_again_while_others_work() -> None:
    plan = plan_of(main={"a": step(), "b": step()})
    assert decided(plan, started("a"), started("b"), finished("a", Outcome.PARKED)) == [Start("a")]


def test_a_cancel_ends_what_runs_and_then_the_run() -> None:
    plan = plan_of(main={"a": step(), "b": step(), "c": step("a")})
    events = (started("a"), started("b"), CancelRequested(at=NOON, reason="no more"))
    assert decided(plan, *events) == [Cancel("a"), Cancel("b")]
    ended = (finished("a"), finished("b", Outcome.CANCELLED))
    assert decided(plan, *events, *ended) == [Finish(RunEnd.CANCELLED, "no more")]


def test_a_cancel_goes_before_a_polite_stop() -> None:
    state = after(plan_of(main={"a": step()}), started("a"), CancelRequested(at=NOON))
    assert decide(state, NOON, 4, draining=True) == [Cancel("a")]


def test_what_a_failed_run_never_came_to_is_skipped_with_the_reason() -> None:
    plan = plan_of(main={"a": step(), "b": step("a")})
    failure = (started("a"), finished("a", Outcome.FAILED, kind=FailureKind.AGENT, reason="no"))
    state = after(plan, *failure, RunFinished(at=NOON, end=RunEnd.FAILED, reason="a failed: no"))
    assert (state.nodes["a"].status, state.nodes["b"].status) == (Status.FAILED, Status.SKIPPED)
    assert state.nodes["b"].reason == "a failed: no"


def test_what_a_cancelled_run_never_came_to_is_cancelled() -> None:
    plan = plan_of(main={"a": step(), "b": step("a")})
    events = (
        started("a"),
        finished("a"),
        CancelRequested(at=NOON),
        RunFinished(at=NOON, end=RunEnd.CANCELLED),
    )
    state = after(plan, *events)
    assert (state.nodes["a"].status, state.nodes["b"].status) == (Status.DONE, Status.CANCELLED)


def test_a_follow_up_that_a_cancelled_run_never_needed_is_skipped() -> None:
    plan = plan_of(
        main={"build": loop("v", on_exhausted="triage", v=step(gated=True))},
        triage={"look": step()},
    )
    state = after(plan, CancelRequested(at=NOON), RunFinished(at=NOON, end=RunEnd.CANCELLED))
    assert state.nodes["triage:look"].status is Status.SKIPPED


def test_a_follow_up_that_was_not_needed_is_skipped() -> None:
    plan = plan_of(
        main={"build": loop("v", on_exhausted="triage", v=step(gated=True))},
        triage={"look": step()},
    )
    passed = LoopFinished(at=NOON, loop="build", passed=True, reason="")
    state = after(plan, started("v"), finished("v"), passed, RunFinished(at=NOON, end=RunEnd.DONE))
    assert (state.nodes["triage:look"].status, state.nodes["triage:look"].reason) == (
        Status.SKIPPED,
        "not needed",
    )


def test_the_newest_tree_and_commit_are_those_of_the_last_stage_that_made_one() -> None:
    plan = plan_of(main={"a": step(), "b": step()})
    wrote = StageFinished(
        at=NOON, stage="a", attempt=1, outcome=Outcome.DONE, tree="tree 2", commit="commit 2"
    )
    looked = StageFinished(at=NOON, stage="b", attempt=1, outcome=Outcome.DONE)
    state = after(plan, started("a"), started("b"), wrote, looked)
    assert (state.product.tree, state.product.commit) == ("tree 2", "commit 2")


def test_effects_and_notes_are_kept() -> None:
    plan = plan_of(main={"a": step()})
    push = PushEffect(branch="b", head="abc", remote="origin")
    branch = BranchEffect(branch="b", head="abc")
    events = (EffectDone(at=NOON, effect=branch), EffectIntended(at=NOON, effect=push))
    state = after(plan, *events, Noted(at=NOON, text="the base moved"))
    assert (state.effects.branch, state.effects.push) == (branch, None)
    assert (state.effects.intended_push, state.effects.revision) == (push, 1)
    assert state.notes == ["the base moved"]


def test_a_second_revision_has_effects_of_its_own() -> None:
    plan = plan_of(main={"a": step()})
    first, second = (BranchEffect(branch="b", head=head) for head in ("one", "two"))
    pull = PullRequestEffect(branch="b", url="u", number=1)
    events = (
        EffectDone(at=NOON, effect=first),
        EffectDone(at=NOON, effect=pull),
        EffectIntended(at=NOON, effect=second, revision=2),
        EffectDone(at=NOON, effect=second, revision=2),
    )
    effects = after(plan, *events).effects
    assert (effects.revision, effects.branch, effects.pull_request) == (2, second, pull)
    assert (effects.of(1).branch, effects.of(2).pull_request) == (first, None)


# A person invokes one stage.


def invoked(stage: str) -> Invoked:
    return Invoked(at=NOON, stage=stage)


def test_an_invoked_stage_runs_alone_and_then_the_run_rests() -> None:
    plan = plan_of(main={"a": step(), "b": step()})
    assert decided(plan, OPENED, invoked("b")) == [Start("b")]
    assert decided(plan, OPENED, invoked("b"), started("b"), finished("b")) == [Rest()]


def test_an_invoked_stage_has_fresh_budgets() -> None:
    plan = plan_of(main={"a": step(retry=Retry(max=1, on=(FailureKind.TIMEOUT,)))})
    failure = (started("a"), finished("a", Outcome.FAILED, kind=FailureKind.TIMEOUT))
    assert decided(plan, *failure, *failure, OPENED, invoked("a"), *failure) == [Start("a")]


def test_a_run_goes_on_where_it_was_after_an_invoked_stage() -> None:
    plan = plan_of(main={"a": step(), "b": step("a")})
    ahead = (OPENED, invoked("b"), started("b"), finished("b"), OPENED)
    assert decided(plan, *ahead) == [Start("a")]
    assert decided(plan, *ahead, started("a"), finished("a")) == [Finish(RunEnd.DONE)]


def test_a_failure_elsewhere_still_ends_the_run_after_an_invoked_stage() -> None:
    plan = plan_of(main={"a": step(), "b": step(), "c": step("b")})
    failure = (started("a"), finished("a", Outcome.FAILED, kind=FailureKind.AGENT, reason="no"))
    alone = (
        RunFinished(at=NOON, end=RunEnd.FAILED),
        OPENED,
        invoked("b"),
        started("b"),
        finished("b"),
        OPENED,
    )
    assert decided(plan, *failure, *alone) == [Finish(RunEnd.FAILED, "a failed: no")]


def test_a_repeated_stage_that_was_cut_short_is_not_taken_for_done() -> None:
    plan = plan_of(main={"a": step()})
    done = (started("a"), finished("a"), RunFinished(at=NOON, end=RunEnd.DONE))
    assert decided(plan, *done, OPENED, invoked("a"), OPENED) == [Start("a")]


def test_a_repeated_stage_counts_once() -> None:
    plan = plan_of(main={"a": step(), "b": step()})
    failure = (
        OPENED,
        invoked("a"),
        started("a"),
        finished("a", Outcome.FAILED, kind=FailureKind.AGENT),
    )
    again = (OPENED, invoked("a"), started("a"), finished("a"))
    assert decided(plan, started("a"), finished("a"), *failure, *again, OPENED) == [Start("b")]


def test_a_deciding_stage_that_is_repeated_and_red_keeps_the_run_from_being_done() -> None:
    plan = plan_of(main={"build": loop("v", v=step(gated=True))})
    passed = (
        started("v"),
        finished("v"),
        LoopFinished(at=NOON, loop="build", passed=True, reason=""),
    )
    done = (*passed, RunFinished(at=NOON, end=RunEnd.DONE))
    repeated = (OPENED, invoked("v"), started("v"), red("v", "x"), OPENED, next_round("build", 2))
    assert decided(plan, *done, *repeated) == [Start("v")]


def test_a_follow_up_that_is_done_does_not_make_a_failed_run_done() -> None:
    plan = plan_of(
        main={"build": loop("v", on_exhausted="triage", v=step(gated=True))},
        triage={"look": step()},
    )
    followed = (
        *(
            started("v"),
            red("v", "x"),
            exhausted("build"),
            WorkflowStarted(at=NOON, workflow="triage", reason=""),
        ),
        *(started("triage:look"), finished("triage:look"), RunFinished(at=NOON, end=RunEnd.FAILED)),
    )
    again = (
        OPENED,
        invoked("triage:look"),
        started("triage:look"),
        finished("triage:look"),
        OPENED,
    )
    assert [type(command) for command in decided(plan, *followed, *again)] == [Finish]
    assert Finish(RunEnd.DONE) not in decided(plan, *followed, *again)
