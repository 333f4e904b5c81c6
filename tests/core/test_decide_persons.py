"""The rules about persons, items, budgets and going back, one by one: these events, then that
decision.

Each was written because a mutation by hand outlived the random walks
(`docs/reference/scheduling.md`).
"""

from datetime import datetime, timedelta

import msgspec
import pytest

from pipeline.core.decide import (
    Ask,
    Cancel,
    Expire,
    Finish,
    Judge,
    NextRound,
    Park,
    Start,
    StartWorkflow,
    TakeBack,
    WaitUntil,
    decide,
)
from pipeline.core.events import (
    Answer,
    Answered,
    ApprovalAsked,
    ConditionAnswered,
    ConditionResult,
    Item,
    ItemsFound,
    LimitsRaised,
    RunFinished,
    StageCancelled,
    StageFinished,
    TakenBack,
    WorkflowStarted,
)
from pipeline.core.fold import apply
from pipeline.core.memory import Status
from pipeline.core.outcomes import Outcome, RunEnd, StopReason
from pipeline.core.values import closure
from pipeline.language.compiler import compile_plan
from pipeline.language.flow import (
    Approval,
    FailureKind,
    Flow,
    Foreach,
    Limits,
    Output,
    Retry,
    Role,
    Stage,
    StageLimits,
    Workflow,
)
from pipeline.language.plan import Plan
from pipeline.language.words import Duration, Expression, Name, Template
from tests.core.test_decide_rules import (
    LATER,
    NOON,
    OPENED,
    after,
    decided,
    exhausted,
    finished,
    invoked,
    loop,
    names,
    next_round,
    plan_of,
    red,
    started,
    step,
)

# Helpers for approvals, lists, agents, limits.


def approval(*needs: str, revisions: int = 3, timeout: float | None = None) -> Stage:
    until = None if timeout is None else Duration(timeout)
    rule = Approval(ask=Template("well?"), revisions=revisions, timeout_s=until)
    return Stage(approval=rule, needs=names(*needs))


def missed(*needs: str, when: str = "", retry: Retry | None = None) -> Stage:
    """A stage that may be missed: `on_failure: continue`."""
    return msgspec.structs.replace(
        step(*needs, retry=retry), on_failure=Name("continue"), when=Expression(when)
    )


def lists(*needs: str) -> Stage:
    fields: dict[str, tuple[str, ...]] = {"n": ("number",), "items": ("list",)}
    return msgspec.structs.replace(
        step(*needs), outputs={"out": Output(file="out.json", fields=fields)}
    )


def each(**stages: Stage) -> Stage:
    return Stage(
        foreach=Foreach(over=Expression("list.out.items")), needs=names("list"), stages=stages
    )


def put_out(stage: str, *items: str, n: int = 1) -> StageFinished:
    values: dict[str, object] = {"out": {"n": n, "items": list(items)}}
    return StageFinished(
        at=NOON, stage=stage, attempt=1, outcome=Outcome.DONE, tree="t", values=values
    )


def found(stage: str, *keys: str) -> ItemsFound:
    return ItemsFound(at=NOON, stage=stage, items=tuple(Item(key=key, value=key) for key in keys))


def made(stage: str, tree: str) -> StageFinished:
    return StageFinished(at=NOON, stage=stage, attempt=1, outcome=Outcome.DONE, tree=tree)


def asked(stage: str, tree: str = "t", until: datetime | None = None) -> ApprovalAsked:
    return ApprovalAsked(at=NOON, stage=stage, tree=tree, until=until)


def answered(stage: str, answer: Answer, tree: str = "t", comment: str = "smaller") -> Answered:
    return Answered(at=NOON, stage=stage, answer=answer, tree=tree, comment=comment)


def taken_back(*stages: str, tree: str = "t") -> TakenBack:
    return TakenBack(at=NOON, stages=stages, reason="again", tree=tree)


def failed(stage: str, kind: FailureKind = FailureKind.AGENT, reason: str = "no") -> StageFinished:
    return finished(stage, Outcome.FAILED, kind=kind, reason=reason)


def cancelled(stage: str) -> StageCancelled:
    return StageCancelled(at=NOON, stage=stage, reason="enough")


def with_triage() -> Plan:
    return plan_of(
        main={"build": loop("v", rounds=1, on_exhausted="triage", v=step(gated=True)), "a": step()},
        triage={"look": step()},
    )


def agents(usd: float, **costs: float) -> Plan:
    stages = {
        name: Stage(agent=Name("role"), limits=StageLimits(usd=cost))
        for name, cost in costs.items()
    }
    flow = Flow(
        version=1,
        targets=(),
        workflows={"main": Workflow(stages={**stages, "free": step()})},
        agents={"role": Role(prompt="p")},
        limits=Limits(parallel=4, usd=usd),
    )
    return compile_plan(flow, "main")


# Locks, conditions, items.


def test_the_items_of_a_foreach_share_the_lock_of_one_stage() -> None:
    plan = plan_of(main={"list": lists(), "each": each(d=step(lock="one"))})
    events = (started("list"), put_out("list", "x", "y"), found("each", "x", "y"))
    assert decided(plan, *events) == [Start("each:x:d")]


def test_a_condition_about_an_output_that_is_not_there_fails() -> None:
    plan = plan_of(main={
        "list": msgspec.structs.replace(lists(), on_failure=Name("continue")),
        "b": msgspec.structs.replace(step("list"), when=Expression("list.out.n == 1")),
    })  # fmt: skip
    [command] = decided(plan, started("list"), failed("list"))
    assert isinstance(command, Judge)
    assert (command.stage, command.result) == ("b", ConditionResult.FAIL)


def test_a_condition_never_sees_the_output_of_an_earlier_round() -> None:
    plan = plan_of(main={"build": loop(
        "v",
        list=msgspec.structs.replace(lists(), on_failure=Name("continue")),
        b=msgspec.structs.replace(step("list"), when=Expression("list.out.n == 1")),
        v=step("b", gated=True),
    )})  # fmt: skip
    go = ConditionAnswered(at=NOON, stage="b", result=ConditionResult.GO)
    first = (
        started("list"),
        put_out("list"),
        go,
        started("b"),
        finished("b"),
        started("v"),
        red("v", "x"),
    )
    [command] = decided(plan, *first, next_round("build", 2), started("list"), failed("list"))
    assert isinstance(command, Judge)
    assert command.result is ConditionResult.FAIL


def test_a_new_round_leaves_the_items_of_the_last_one_out() -> None:
    body = each(d=step())
    plan = plan_of(main={"build": loop("v", list=lists(), each=body, v=step("each", gated=True))})
    first = (
        *(
            started("list"),
            put_out("list", "x"),
            found("each", "x"),
            started("each:x:d"),
            finished("each:x:d"),
        ),
        *(started("v"), red("v", "x"), next_round("build", 2)),
    )
    state = after(plan, *first)
    assert state.plan.nodes["each"].children == ()
    assert {state.nodes[name].status for name in ("each:x", "each:x:d")} == {Status.SKIPPED}
    assert decided(plan, *first, cancelled("each:x:d")) == [Start("list")]


def test_a_foreach_that_is_taken_back_finds_its_items_anew() -> None:
    plan = plan_of(main={"list": lists(), "each": each(d=step())})
    done = (
        started("list"),
        put_out("list", "x"),
        found("each", "x"),
        started("each:x:d"),
        finished("each:x:d"),
    )
    events = (*done, taken_back("list", "each", "each:x", "each:x:d"))
    state = after(plan, *events)
    assert state.plan.nodes["each"].children == ()
    assert {state.nodes[name].status for name in ("each:x", "each:x:d")} == {Status.SKIPPED}
    assert decided(plan, *events, cancelled("each:x:d")) == [Start("list")]


# Loops and follow-ups after going back.


def test_an_inner_loop_that_is_red_is_still_the_outer_loop_s_matter_after_an_invoked_stage() -> (
    None
):
    plan = plan_of(main={"outer": loop("build", build=loop("v", v=step(gated=True))), "a": step()})
    events = (started("v"), red("v", "x"), exhausted("build"))
    alone = (OPENED, invoked("a"), started("a"), finished("a"), OPENED)
    assert decided(plan, *events, *alone) == [NextRound("outer", 2, ("enough", "x"))]


def test_a_round_after_revise_is_told_of_both_where_the_loop_is_red_already() -> None:
    plan = plan_of(main={"build": loop("v", ok=approval(), v=step(gated=True))})
    events = (asked("ok"), started("v"), answered("ok", Answer.REVISE), red("v", "x"))
    back = TakenBack(
        at=NOON, stages=("build", "ok"), reason="ok: revise", tree="t", feedback=("smaller",)
    )
    assert decided(plan, *events, back) == [NextRound("build", 2, ("smaller", "x"))]


def test_a_follow_up_never_starts_itself() -> None:
    look = msgspec.structs.replace(step(), on_failure=Name("triage"))
    main = {"a": msgspec.structs.replace(step(), on_failure=Name("triage"))}
    plan = plan_of(main=main, triage={"look": look})
    begun = (started("a"), failed("a"), WorkflowStarted(at=NOON, workflow="triage", reason=""))
    failure = (started("triage:look"), failed("triage:look"))
    assert decided(plan, *begun, *failure) == [Finish(RunEnd.FAILED, "a failed: no")]


def test_what_looks_for_causes_looks_anew_after_the_main_workflow_was_taken_back() -> None:
    plan = with_triage()
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
        taken_back("build", "v"),
        started("a"),
        finished("a"),
        started("v"),
        red("v"),
        exhausted("build"),
    )
    assert decided(plan, *followed, *again) == [StartWorkflow("triage", "build: enough")]
    second = WorkflowStarted(at=NOON, workflow="triage", reason="")
    assert decided(plan, *followed, *again, second) == [Start("triage:look")]


def test_the_main_workflow_is_active_again_when_one_of_its_stages_is_invoked() -> None:
    main = {"a": msgspec.structs.replace(step(), on_failure=Name("triage")), "b": step()}
    plan = plan_of(main=main, triage={"look": step()})
    events = (
        *(
            started("a"),
            started("b"),
            failed("a"),
            failed("b"),
            WorkflowStarted(at=NOON, workflow="triage", reason=""),
        ),
        *(started("triage:look"), finished("triage:look"), RunFinished(at=NOON, end=RunEnd.FAILED)),
    )
    alone = (OPENED, invoked("a"), started("a"), finished("a"), OPENED)
    assert decided(plan, *events, *alone) == [Finish(RunEnd.FAILED, "b failed: no")]


# Quota and parking.


def quota(stage: str) -> StageFinished:
    return finished(
        stage, Outcome.PARKED, kind=FailureKind.QUOTA, after=LATER, reason="waits for its quota"
    )


def test_waiting_for_a_quota_uses_no_retry_up() -> None:
    plan = plan_of(main={"a": step(retry=Retry(max=1, on=(FailureKind.TIMEOUT,), quota=1))})
    events = (started("a"), quota("a"), started("a"), failed("a", FailureKind.TIMEOUT))
    assert decided(plan, *events) == [Start("a")]


def test_a_quota_is_waited_for_so_often_and_then_the_run_parks() -> None:
    plan = plan_of(main={"a": step(retry=Retry(max=0, quota=1))})
    assert decided(plan, started("a"), quota("a")) == [WaitUntil(LATER)]
    assert decided(plan, started("a"), quota("a"), started("a"), quota("a")) == [
        Park(StopReason.QUOTA_USED_UP, "a waits for its quota")
    ]


def test_a_parked_stage_wakes_the_run_at_its_time_while_others_work() -> None:
    plan = plan_of(main={"a": step(), "b": step()})
    parked = (started("a"), started("b"), finished("a", Outcome.PARKED, after=LATER))
    assert decided(plan, *parked) == [WaitUntil(LATER)]
    assert decided(plan, *parked, now=LATER) == [Start("a")]


# Approvals.


def test_a_person_is_asked_again_when_the_tree_is_another_and_has_no_more_time_for_it() -> None:
    plan = plan_of(main={"ok": approval(timeout=30.0), "a": step()})
    assert decided(plan) == [Ask("ok", LATER), Start("a")]
    events = (asked("ok", "", LATER), started("a"), made("a", "t"))
    ten = NOON + timedelta(seconds=10)
    assert decided(plan, *events, now=ten) == [Ask("ok", LATER), WaitUntil(LATER)]


def test_the_run_waits_for_an_answer_until_it_is_too_late() -> None:
    plan = plan_of(main={"ok": approval(timeout=30.0), "a": step()})
    events = (asked("ok", "", LATER), started("a"))
    assert decided(plan, *events) == [WaitUntil(LATER)]
    assert decided(plan, *events, now=LATER) == [Expire("ok")]
    expired = answered("ok", Answer.EXPIRED, "", "")
    assert decided(plan, *events, expired, finished("a")) == [
        Finish(RunEnd.FAILED, "ok failed: expired")
    ]


def test_an_answer_about_another_tree_than_was_shown_is_void() -> None:
    plan = plan_of(main={"ok": approval(), "a": step()})
    before = (started("a"), made("a", "new"), asked("ok", "new"))
    waits = [Park(StopReason.ANSWER_WANTED, "ok waits for an answer")]
    for answer in Answer:
        assert decided(plan, *before, answered("ok", answer, "old")) == waits


def test_an_approval_of_a_tree_that_has_changed_since_is_void() -> None:
    plan = plan_of(main={"ok": approval(), "a": step()})
    events = (
        asked("ok", "old"),
        started("a"),
        made("a", "new"),
        answered("ok", Answer.APPROVE, "old"),
    )
    assert decided(plan, *events) == [Ask("ok", None)]


def test_revise_sends_what_the_approval_needs_back_with_what_was_said() -> None:
    group = Stage(parallel={"a": step(), "b": step()})
    plan = plan_of(main={"first": step(), "group": group, "ok": approval("group"), "c": step("ok")})
    done = tuple(event for name in ("first", "a", "b") for event in (started(name), finished(name)))
    events = (*done, asked("ok"), answered("ok", Answer.REVISE))
    assert decided(plan, *events) == [
        TakeBack(("group", "a", "b", "ok", "c"), ("smaller",), "ok: revise")
    ]


def test_revise_waits_until_nothing_runs_that_builds_on_what_is_sent_back() -> None:
    plan = plan_of(main={"a": step(), "ok": approval("a"), "c": step("a"), "other": step()})
    events = (started("a"), started("other"), finished("a"), asked("ok"), started("c"))
    assert decided(plan, *events, answered("ok", Answer.REVISE)) == [Cancel("c")]


def test_an_approval_sends_back_so_often_and_no_more() -> None:
    plan = plan_of(main={"a": step(), "ok": approval("a", revisions=1)})
    once = (started("a"), finished("a"), asked("ok"), answered("ok", Answer.REVISE))
    twice = (*once, taken_back("a", "ok"), *once)
    assert [type(command) for command in decided(plan, *once)] == [TakeBack]
    assert decided(plan, *twice) == [
        Finish(RunEnd.FAILED, "ok failed: sent back 2 times; last: smaller")
    ]


def test_a_question_about_what_is_taken_back_is_closed() -> None:
    plan = plan_of(main={"a": step(), "ok": approval("a")})
    events = (started("a"), finished("a"), asked("ok"), taken_back("a", "ok"))
    assert decided(plan, *events) == [Start("a")]
    assert decided(plan, *events, answered("ok", Answer.APPROVE)) == [Start("a")]
    assert decided(plan, *events, started("a"), finished("a")) == [Ask("ok", None)]


def test_a_failure_closes_the_open_questions() -> None:
    plan = plan_of(main={"ok": approval(), "a": step(), "b": step()})
    events = (asked("ok", ""), started("a"), started("b"), failed("a"))
    assert after(plan, *events).agenda.asked == {}
    assert (
        after(plan, *events, answered("ok", Answer.APPROVE, "")).nodes["ok"].status
        is Status.PENDING
    )


# Taken back.


def test_what_builds_on_a_stage_is_all_that_needs_it_is_inside_or_around_or_held_its_lock_after_it() -> (
    None
):
    plan = plan_of(main={
        "before": step(lock="one"),
        "group": Stage(parallel={"a": step(lock="one"), "beside": step()}),
        "later": step(lock="one"),
        "elsewhere": step(lock="two"),
        "c": step("group"),
        "inner": Stage(parallel={"d": step()}, needs=names("c")),
    })  # fmt: skip
    done = tuple(
        event
        for name in ("before", "a", "beside", "elsewhere", "later")
        for event in (started(name), finished(name))
    )
    assert closure(after(plan, *done), ["a"]) == ["group", "a", "later", "c", "inner", "d"]


def test_a_stage_that_is_taken_back_has_fresh_budgets_and_the_tree_without_it() -> None:
    plan = plan_of(
        main={"a": lists(), "b": step("a", retry=Retry(max=1, on=(FailureKind.TIMEOUT,)))}
    )
    ended = failed("b", FailureKind.TIMEOUT)
    failure = (started("a"), put_out("a"), started("b"), ended, started("b"), ended)
    back = (RunFinished(at=NOON, end=RunEnd.FAILED), OPENED, taken_back("a", "b", tree="base"))
    state = after(plan, *failure, *back)
    assert (state.product.tree, state.product.values) == ("base", {})
    assert decided(plan, *failure, *back, started("a"), put_out("a"), started("b"), ended) == [
        Start("b")
    ]


def test_an_invoked_stage_may_be_lost_as_often_as_the_first_time() -> None:
    plan = plan_of(main={"a": step(retry=Retry(max=0, lost=1))})
    lost = (started("a"), finished("a", Outcome.LOST))
    assert decided(plan, *lost, *lost, OPENED, invoked("a"), *lost) == [Start("a")]


def test_what_failed_because_of_an_invoked_stage_is_tried_again_after_it() -> None:
    plan = plan_of(main={"a": step(), "b": step("a")})
    failure = (
        started("a"),
        finished("a"),
        started("b"),
        failed("b"),
        RunFinished(at=NOON, end=RunEnd.FAILED),
    )
    alone = (OPENED, invoked("a"), started("a"), finished("a"), OPENED)
    assert decided(plan, *failure, *alone) == [Start("b")]


# A cancelled stage.


def test_a_running_stage_that_is_cancelled_is_ended_and_has_failed() -> None:
    plan = plan_of(main={"a": step(), "b": step("a")})
    events = (started("a"), cancelled("a"))
    assert decided(plan, *events) == [Cancel("a")]
    ended = finished("a", Outcome.CANCELLED)
    assert decided(plan, *events, ended) == [Finish(RunEnd.FAILED, "a cancelled: enough")]


def test_a_pending_stage_that_is_cancelled_has_failed() -> None:
    plan = plan_of(main={"a": step(), "b": step("a")})
    assert decided(plan, cancelled("b")) == [Finish(RunEnd.FAILED, "b cancelled: enough")]


@pytest.mark.parametrize("begun", [True, False])
def test_a_cancelled_stage_that_may_be_missed_is_passed_over(begun: bool) -> None:
    plan = plan_of(main={"a": missed(), "b": step("a")})
    running = (started("a"), cancelled("a"), finished("a", Outcome.CANCELLED))
    assert decided(plan, *(running if begun else (cancelled("a"),))) == [Start("b")]


def test_a_stage_of_a_workflow_that_is_not_active_is_not_cancelled() -> None:
    plan = with_triage()
    assert decided(plan, cancelled("triage:look")) == [Start("v"), Start("a")]
    events = (started("a"), failed("a"), cancelled("v"))
    assert after(plan, *events).nodes["v"].status is Status.PENDING


# Limits.


def test_a_run_at_its_wall_limit_puts_off_what_runs_and_waits_for_a_person() -> None:
    plan = msgspec.structs.replace(plan_of(main={"a": step(), "b": step("a")}), wall_s=100.0)
    running = after(plan, started("a"))
    assert decide(running, NOON, 4, awake_s=99.0) == []
    assert decide(running, NOON, 4, awake_s=100.0) == [Cancel("a", park=True)]
    put_off = after(plan, started("a"), finished("a", Outcome.PARKED))
    parked = [
        Park(
            StopReason.LIMIT_REACHED,
            "the run has been worked on for 0:01:40, its limit (wall)",
        )
    ]
    assert decide(put_off, NOON, 4, awake_s=100.0) == parked


def test_all_sessions_of_a_run_count_for_its_wall_limit() -> None:
    plan = msgspec.structs.replace(
        plan_of(main={"a": step(), "b": step("a"), "c": step("b")}), wall_s=100.0
    )
    sessions = tuple(
        event
        for name in ("a", "b")
        for event in (started(name), msgspec.structs.replace(finished(name), awake_s=60.0), OPENED)
    )
    assert [type(command) for command in decided(plan, *sessions)] == [Park]
    raised = LimitsRaised(at=NOON, wall_s=200.0)
    assert decided(plan, *sessions, raised) == [Start("c")]


def test_what_runs_and_what_starts_with_it_share_the_budget() -> None:
    plan = agents(3.0, a=2.0, b=2.0, c=0.5)
    assert decided(plan) == [Start("a"), Start("free")]
    assert decided(plan, started("a")) == [Start("free")]


def test_a_run_without_budget_waits_for_a_person_who_raises_it() -> None:
    plan = agents(3.0, a=2.0, b=2.0)
    spent = (started("a"), started("free"), finished("free"), finished("a"))
    [command] = decided(plan, *spent)
    assert isinstance(command, Park)
    assert (command.stop, "b reserves 2" in command.reason) == (StopReason.LIMIT_REACHED, True)
    assert decided(plan, *spent, LimitsRaised(at=NOON, usd=4.0)) == [Start("b")]


# Budgets, ends, and what a parked run says.


def test_a_failure_uses_nothing_of_the_budget_for_losses_up() -> None:
    plan = plan_of(main={"a": step(retry=Retry(max=1, on=(FailureKind.TIMEOUT,), lost=1))})
    failure = (started("a"), failed("a", FailureKind.TIMEOUT))
    assert decided(plan, *failure, started("a"), finished("a", Outcome.LOST)) == [Start("a")]


def test_what_waited_to_be_tried_again_when_the_run_ended_has_failed() -> None:
    plan = plan_of(main={"a": step(), "b": step()})
    waits = finished("a", Outcome.FAILED, kind=FailureKind.TRANSIENT, after=LATER, reason="net")
    state = after(
        plan,
        started("a"),
        started("b"),
        waits,
        failed("b"),
        RunFinished(at=NOON, end=RunEnd.FAILED),
    )
    assert (state.nodes["a"].status, state.nodes["a"].reason) == (Status.FAILED, "net")


def test_what_the_end_put_aside_goes_on_when_what_it_needs_was_invoked() -> None:
    plan = plan_of(main={"a": step(), "b": step("a")})
    ended = (started("a"), failed("a"), RunFinished(at=NOON, end=RunEnd.FAILED))
    assert decided(plan, *ended, OPENED, invoked("a"), started("a"), finished("a"), OPENED) == [
        Start("b")
    ]


def test_a_stage_of_another_workflow_does_not_count_for_the_active_one() -> None:
    plan = with_triage()
    look = (OPENED, invoked("triage:look"), started("triage:look"), finished("triage:look"))
    assert not after(plan, started("a"), finished("a"), *look).is_all_over


def test_a_parked_run_names_all_for_whom_it_waits_a_person_first() -> None:
    plan = plan_of(main={"a": step(), "ok": approval()})
    events = (asked("ok", ""), started("a"), finished("a", Outcome.PARKED, reason="waits for one"))
    assert decided(plan, *events) == [
        Park(StopReason.ANSWER_WANTED, "ok waits for an answer; a waits for one")
    ]


def test_nothing_is_called_ready_in_a_run_that_cannot_succeed() -> None:
    plan = plan_of(main={"a": step(), "b": step(), "c": step("b"), "d": step()})
    assert not after(plan, started("a"), started("b"), failed("a"), finished("b")).agenda.ready


def test_a_cancel_by_a_person_counts_however_the_attempt_ends() -> None:
    plan = plan_of(main={"a": step(retry=Retry(max=3, lost=3, on=(FailureKind.AGENT,)))})
    for end in (finished("a", Outcome.LOST), failed("a"), finished("a", Outcome.PARKED)):
        events = (started("a"), cancelled("a"), OPENED, end, OPENED)
        assert decided(plan, *events) == [Finish(RunEnd.FAILED, "a cancelled: enough")]
    assert decided(plan, started("a"), cancelled("a"), finished("a")) == [Finish(RunEnd.DONE)]


def test_a_revision_is_dropped_when_the_run_cannot_succeed_any_more() -> None:
    stages = {"a": step(), "ok": approval("a"), "c": step("a")}
    b = msgspec.structs.replace(step(), on_failure=Name("triage"))
    plan = plan_of(main={**stages, "b": b}, triage={"look": step()})
    events = (
        *(started("a"), finished("a"), asked("ok"), started("c"), started("b")),
        *(answered("ok", Answer.REVISE), failed("b"), finished("c")),
    )
    assert decided(plan, *events) == [StartWorkflow("triage", "b: no")]
    follow_up = WorkflowStarted(at=NOON, workflow="triage", reason="")
    assert decided(plan, *events, follow_up) == [Start("triage:look")]


@pytest.mark.parametrize("items", [("x",), ("x", "y")])
def test_what_a_person_said_reaches_the_stages_of_an_item(items: tuple[str, ...]) -> None:
    plan = plan_of(main={"list": lists(), "each": each(do=step())})
    events = (started("list"), put_out("list", *items), found("each", *items))
    state = after(plan, *events, started("each:x:do"), finished("each:x:do"))
    told = TakenBack(
        at=NOON, stages=tuple(closure(state, ["each:x:do"])), reason="again", feedback=("smaller",)
    )
    apply(state, told)
    if state.agenda.unfolding:
        apply(state, found("each", *items))
    assert state.nodes["each:x:do"].feedback == ("smaller",)


def test_a_stage_that_a_person_cancelled_has_failed_for_conditions() -> None:
    fallback = msgspec.structs.replace(step("a"), when=Expression("a.failed"))
    plan = plan_of(main={"a": missed(), "b": fallback})
    (judged,) = decided(plan, cancelled("a"))
    assert isinstance(judged, Judge)
    assert judged.result is ConditionResult.GO
