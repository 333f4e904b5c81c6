"""What an agent says instead of its work, rule by rule: it asks a person, or there is nothing to
do.
"""

import msgspec
import pytest

from pipeline.core.decide import Ask, Cancel, Finish, Park, Rest, Start, StartWorkflow
from pipeline.core.events import (
    Answer,
    ApprovalAsked,
    CancelRequested,
    ConditionAnswered,
    ConditionResult,
    Event,
    LimitsRaised,
    RunFinished,
    StageFinished,
    Usage,
    WorkflowStarted,
)
from pipeline.core.memory import Status
from pipeline.core.outcomes import Outcome, RunEnd, StopReason
from pipeline.core.progress import QUESTIONS_MAX
from pipeline.language.compiler import compile_plan
from pipeline.language.flow import (
    FailureKind,
    Flow,
    Limits,
    Lock,
    Loop,
    May,
    Retry,
    Role,
    Stage,
    StageLimits,
    Workflow,
)
from pipeline.language.plan import Plan
from pipeline.language.words import Expression, Name
from tests.core.test_decide_persons import (
    answered,
    approval,
    cancelled,
    failed,
    made,
    missed,
    taken_back,
)
from tests.core.test_decide_rules import (
    LATER,
    NOON,
    OPENED,
    after,
    decided,
    finished,
    invoked,
    names,
    next_round,
    red,
    started,
    step,
)

WAITS = [Park(StopReason.ANSWER_WANTED, "plan waits for an answer")]


def agent(*needs: str, retry: Retry | None = None, lock: str = "") -> Stage:
    """An agent that may ask, and decline."""
    return Stage(
        agent=Name("role"),
        may=(May.ASK, May.DECLINE),
        needs=names(*needs),
        lock=names(lock) if lock else (),
        retry=retry or Retry(),
        limits=StageLimits(usd=1.0),
    )


def plan_of(usd: float | None = None, **workflows: dict[str, Stage]) -> Plan:
    compiled = {name: Workflow(stages=stages) for name, stages in workflows.items()}
    locks, roles = {"one": Lock()}, {"role": Role(prompt="p")}
    limits = Limits(parallel=4, usd=usd)
    return compile_plan(
        Flow(version=1, targets=(), workflows=compiled, locks=locks, agents=roles, limits=limits),
        "main",
    )


def asks(stage: str, question: str = "which?") -> StageFinished:
    return finished(stage, Outcome.ASKS, reason=question)


def needless(stage: str) -> StageFinished:
    return finished(stage, Outcome.DECLINED, reason="it is there")


def posed(stage: str, tree: str = "", question: str = "which?") -> ApprovalAsked:
    return ApprovalAsked(at=NOON, stage=stage, tree=tree, question=question)


def replied(stage: str, comment: str = "this", tree: str = "") -> Event:
    return answered(stage, Answer.REPLY, tree, comment)


def asked_of(stage: str, comment: str = "this") -> tuple[Event, ...]:
    """The events of one question, up to its answer."""
    return (started(stage), asks(stage), posed(stage), replied(stage, comment))


# Questions.


def test_what_an_agent_asks_is_asked_and_then_waited_for() -> None:
    plan = plan_of(main={"plan": agent(), "next": step("plan")})
    assert decided(plan, started("plan"), asks("plan")) == [Ask("plan", None)]
    assert decided(plan, started("plan"), asks("plan"), posed("plan")) == WAITS


def test_a_reply_starts_the_stage_again_with_question_and_answer() -> None:
    plan = plan_of(main={"plan": agent(), "next": step("plan")})
    assert decided(plan, *asked_of("plan")) == [Start("plan")]
    replies = after(plan, *asked_of("plan")).nodes["plan"].replies
    assert replies == ("You asked: which? The answer of a person: this",)


def test_others_go_on_while_a_question_is_open_and_its_lock_is_free() -> None:
    plan = plan_of(main={"plan": agent(lock="one"), "beside": step(lock="one")})
    assert decided(plan, started("plan"), asks("plan"), posed("plan")) == [Start("beside")]


@pytest.mark.parametrize("word", [Answer.APPROVE, Answer.REVISE])
def test_a_question_cannot_be_approved_or_revised(word: Answer) -> None:
    plan = plan_of(main={"plan": agent()})
    assert (
        decided(plan, started("plan"), asks("plan"), posed("plan"), answered("plan", word, ""))
        == WAITS
    )


def test_an_approval_cannot_be_replied_to() -> None:
    plan = plan_of(main={"ok": approval(), "a": step("ok")})
    assert decided(plan, posed("ok"), replied("ok")) == [
        Park(StopReason.ANSWER_WANTED, "ok waits for an answer")
    ]


def test_a_question_that_is_stopped_fails_its_stage() -> None:
    plan = plan_of(main={"plan": agent(), "next": step("plan")})
    stopped = answered("plan", Answer.STOP, "", "not now")
    events = (started("plan"), asks("plan"), posed("plan"), stopped)
    assert decided(plan, *events) == [Finish(RunEnd.FAILED, "plan failed: stop: not now")]


def test_a_stage_whose_question_was_stopped_may_be_taken_back_and_asks_nothing_by_itself() -> None:
    plan = plan_of(main={"plan": agent()})
    stopped = answered("plan", Answer.STOP, "", "not now")
    events = (
        started("plan"),
        asks("plan"),
        posed("plan"),
        stopped,
        RunFinished(at=NOON, end=RunEnd.FAILED),
    )
    assert decided(plan, *events, taken_back("plan"), OPENED) == [Start("plan")]
    assert decided(plan, *events, OPENED, invoked("plan")) == [Start("plan")]


def test_a_stage_asks_so_often_and_then_it_fails() -> None:
    plan = plan_of(main={"plan": agent()})
    often = asked_of("plan") * QUESTIONS_MAX
    assert decided(plan, *often) == [Start("plan")]
    reason = "plan failed: it asked for the 4th time; last: which?"
    assert decided(plan, *often, started("plan"), asks("plan")) == [Finish(RunEnd.FAILED, reason)]


def test_a_stage_that_asked_too_often_may_ask_again_when_it_was_taken_back() -> None:
    plan = plan_of(main={"plan": agent()})
    often = (
        *asked_of("plan") * QUESTIONS_MAX,
        started("plan"),
        asks("plan"),
        RunFinished(at=NOON, end=RunEnd.FAILED),
    )
    for back in (taken_back("plan"), invoked("plan")):
        assert decided(plan, *often, back, started("plan"), asks("plan")) == [Ask("plan", None)]


def test_asking_uses_no_retry_up() -> None:
    plan = plan_of(main={"plan": agent(retry=Retry(max=1, on=(FailureKind.TIMEOUT,), lost=0))})
    events = (*asked_of("plan"), started("plan"), failed("plan", FailureKind.TIMEOUT))
    assert decided(plan, *events) == [Start("plan")]


def test_a_question_costs_what_its_attempt_cost() -> None:
    plan = plan_of(usd=2.0, main={"plan": agent()})
    told = msgspec.structs.replace(asks("plan"), usage=Usage(cost_usd=1.5))
    (command,) = decided(plan, started("plan"), told, posed("plan"), replied("plan"))
    assert isinstance(command, Park)
    raised = LimitsRaised(at=NOON, usd=3.0)
    assert decided(plan, started("plan"), told, posed("plan"), replied("plan"), raised) == [
        Start("plan")
    ]


def test_all_replies_are_kept_whatever_becomes_of_the_attempts_after_them() -> None:
    plan = plan_of(main={"plan": agent(retry=Retry(max=1, on=(FailureKind.TIMEOUT,)))})
    both = (*asked_of("plan", "one"), *asked_of("plan", "two"))
    ended = (*both, started("plan"), failed("plan", FailureKind.TIMEOUT))
    for events in (both, ended, (*ended, taken_back("plan"))):
        replies = after(plan, *events).nodes["plan"].replies
        assert [line.rpartition(": ")[2] for line in replies] == ["one", "two"]


def test_the_next_round_knows_the_replies_of_the_last_one() -> None:
    build = Loop(until="check.passed", max=3)
    stages = {"plan": agent(), "check": step("plan", gated=True)}
    plan = plan_of(main={"build": Stage(loop=build, stages=stages)})
    events = (
        *asked_of("plan"),
        started("plan"),
        finished("plan"),
        started("check"),
        red("check", "no"),
    )
    state = after(plan, *events, next_round("build", 2))
    assert (state.nodes["plan"].replies[0][-4:], state.nodes["plan"].has_question) == (
        "this",
        False,
    )


def test_a_red_round_closes_the_questions_in_it() -> None:
    build = Loop(until="check.passed", max=3)
    plan = plan_of(
        main={"build": Stage(loop=build, stages={"plan": agent(), "check": step(gated=True)})}
    )
    events = (started("plan"), started("check"), asks("plan"), posed("plan"), red("check", "no"))
    assert after(plan, *events).agenda.asked == {}
    late = (started("plan"), started("check"), red("check", "no"), asks("plan"))
    assert not after(plan, *late).agenda.questions
    for one in (events, late):
        assert decided(plan, *one, next_round("build", 2)) == [Start("plan"), Start("check")]


def test_a_question_is_not_asked_again_when_the_tree_is_another_and_its_reply_counts() -> None:
    plan = plan_of(main={"plan": agent(), "beside": step(), "next": step("plan")})
    events = (
        started("plan"),
        started("beside"),
        asks("plan"),
        posed("plan"),
        made("beside", "new"),
    )
    assert decided(plan, *events) == WAITS
    assert decided(plan, *events, replied("plan")) == [Start("plan")]


def test_a_failure_closes_a_question_which_is_asked_again_when_the_run_goes_on() -> None:
    plan = plan_of(main={"plan": agent(), "b": step()})
    events = (started("plan"), started("b"), asks("plan"), posed("plan"), failed("b"))
    assert after(plan, *events).agenda.asked == {}
    ended = (*events, replied("plan"), RunFinished(at=NOON, end=RunEnd.FAILED))
    assert decided(plan, *ended, taken_back("b"), OPENED) == [Ask("plan", None), Start("b")]


def test_a_stage_that_asks_in_a_run_that_cannot_succeed_is_not_waited_for() -> None:
    plan = plan_of(main={"plan": agent(), "b": step()})
    events = (started("plan"), started("b"), failed("b"), asks("plan"))
    assert decided(plan, *events) == [Finish(RunEnd.FAILED, "b failed: no")]


def test_a_question_of_what_is_taken_back_is_closed() -> None:
    plan = plan_of(main={"a": step(), "plan": agent("a")})
    events = (
        started("a"),
        finished("a"),
        started("plan"),
        asks("plan"),
        posed("plan"),
        taken_back("a", "plan"),
    )
    assert decided(plan, *events) == [Start("a")]
    assert decided(plan, *events, replied("plan"), started("a"), finished("a")) == [Start("plan")]


def test_a_stage_that_waits_for_an_answer_can_be_cancelled_or_missed() -> None:
    stages = {
        "plan": msgspec.structs.replace(agent(), on_failure=Name("continue")),
        "next": step("plan"),
    }
    plan = plan_of(main=stages)
    for end in (answered("plan", Answer.STOP, ""), cancelled("plan")):
        assert decided(plan, started("plan"), asks("plan"), posed("plan"), end) == [Start("next")]


def test_a_question_of_what_looks_for_causes_stays_open_when_something_else_is_sent_back() -> None:
    stages = {"a": msgspec.structs.replace(step(), on_failure=Name("triage"))}
    plan = plan_of(main=stages, triage={"look": agent(), "ok": approval()})
    begun = (started("a"), failed("a"), WorkflowStarted(at=NOON, workflow="triage", reason=""))
    events = (
        *begun,
        started("triage:look"),
        asks("triage:look"),
        posed("triage:look"),
        taken_back("triage:ok"),
    )
    assert decided(plan, *events) == [Ask("triage:ok", None)]
    assert decided(plan, *events, posed("triage:ok", "t"), replied("triage:look")) == [
        Start("triage:look")
    ]


# One stage by itself.


def test_an_invoked_stage_that_asks_is_not_started_again_before_its_answer() -> None:
    plan = plan_of(main={"plan": agent(), "next": step("plan")})
    alone = (OPENED, invoked("plan"), started("plan"), asks("plan"))
    assert decided(plan, *alone) == [Ask("plan", None)]
    assert decided(plan, *alone, posed("plan")) == WAITS
    assert decided(plan, *alone, posed("plan"), replied("plan")) == [Start("plan")]


def test_an_invoked_stage_that_asked_still_runs_alone_when_it_is_answered_later() -> None:
    plan = plan_of(main={"plan": agent(), "b": step()})
    failure = (started("b"), failed("b"), RunFinished(at=NOON, end=RunEnd.FAILED))
    alone = (OPENED, invoked("plan"), started("plan"), asks("plan"), posed("plan"), OPENED)
    assert decided(plan, *failure, *alone) == WAITS
    again = (*failure, *alone, replied("plan"))
    assert decided(plan, *again) == [Start("plan")]
    assert decided(plan, *again, started("plan"), finished("plan")) == [Rest()]


def test_an_invoked_stage_whose_question_is_stopped_or_cancelled_keeps_the_run_no_longer() -> None:
    plan = plan_of(main={"plan": agent(), "b": step()})
    alone = (OPENED, invoked("plan"), started("plan"), asks("plan"), posed("plan"))
    for end in (answered("plan", Answer.STOP, "", "no"), cancelled("plan")):
        assert decided(plan, *alone, end) == [Rest()]
        (command,) = decided(plan, *alone, end, OPENED)
        assert isinstance(command, Finish)


def test_who_invokes_a_stage_closes_its_question() -> None:
    plan = plan_of(main={"plan": agent(), "next": step("plan")})
    events = (started("plan"), asks("plan"), posed("plan"), OPENED, invoked("plan"))
    for word in Answer:
        assert decided(plan, *events, answered("plan", word, "")) == [Start("plan")]
        assert decided(plan, *events, OPENED, answered("plan", word, "")) == [Start("plan")]


def test_a_reply_does_not_start_a_stage_whose_needs_are_to_run_again() -> None:
    plan = plan_of(main={"a": step(), "plan": agent("a")})
    events = (
        started("a"),
        finished("a"),
        started("plan"),
        asks("plan"),
        posed("plan"),
        OPENED,
        invoked("a"),
    )
    assert decided(plan, *events, started("a"), finished("a"), OPENED, replied("plan")) == [
        Start("plan")
    ]
    assert after(plan, *events, OPENED, replied("plan")).agenda.ready.lists.get((), []) == [
        ((0,), "a")
    ]


def test_a_question_leaves_the_condition_of_its_stage_to_be_asked() -> None:
    later = msgspec.structs.replace(agent("a"), when=Expression("a.failed"))
    plan = plan_of(main={"a": missed(), "plan": later})
    alone = (
        OPENED,
        invoked("plan"),
        started("plan"),
        asks("plan"),
        posed("plan"),
        OPENED,
        replied("plan"),
        OPENED,
    )
    assert decided(plan, *alone) == [Start("a")]
    assert not after(plan, *alone, started("a"), finished("a")).agenda.ready


# Nothing to do.


def test_what_is_needless_ends_the_run_when_what_else_runs_has_ended() -> None:
    plan = plan_of(main={"plan": agent(), "beside": step(), "next": step("plan")})
    events = (started("plan"), started("beside"), needless("plan"))
    assert decided(plan, *events) == [Cancel("beside")]
    end = [Finish(RunEnd.NOTHING_TO_DO, "plan: it is there")]
    for outcome in (Outcome.DONE, Outcome.PARKED, Outcome.LOST, Outcome.FAILED, Outcome.ASKS):
        assert decided(plan, *events, finished("beside", outcome, kind=FailureKind.AGENT)) == end


def test_a_needless_run_has_its_stage_done_and_all_others_skipped() -> None:
    plan = plan_of(main={"plan": agent(), "next": step("plan")})
    state = after(
        plan, started("plan"), needless("plan"), RunFinished(at=NOON, end=RunEnd.NOTHING_TO_DO)
    )
    assert (state.nodes["plan"].status, state.nodes["next"].status) == (Status.DONE, Status.SKIPPED)


def test_a_cancel_goes_before_what_is_needless() -> None:
    plan = plan_of(main={"plan": agent()})
    events = (started("plan"), CancelRequested(at=NOON, reason="enough"), needless("plan"))
    assert decided(plan, *events) == [Finish(RunEnd.CANCELLED, "enough")]


def test_what_is_needless_goes_before_an_open_question() -> None:
    plan = plan_of(main={"plan": agent(), "other": agent()})
    events = (started("plan"), started("other"), asks("other"), posed("other"), needless("plan"))
    assert decided(plan, *events) == [Finish(RunEnd.NOTHING_TO_DO, "plan: it is there")]
    assert decided(plan, *events, replied("other")) == [
        Finish(RunEnd.NOTHING_TO_DO, "plan: it is there")
    ]


def test_a_stage_that_looks_for_causes_cannot_say_that_the_run_is_needless() -> None:
    stages = {"a": msgspec.structs.replace(step(), on_failure=Name("triage"))}
    plan = plan_of(main=stages, triage={"look": agent()})
    events = (started("a"), failed("a"), WorkflowStarted(at=NOON, workflow="triage", reason=""))
    ended = decided(plan, *events, started("triage:look"), needless("triage:look"))
    assert ended == [Finish(RunEnd.FAILED, "a failed: no")]


def test_a_needless_run_starts_no_follow_up() -> None:
    stages = {"a": msgspec.structs.replace(step(), on_failure=Name("triage")), "plan": agent()}
    plan = plan_of(main=stages, triage={"look": step()})
    events = (started("a"), started("plan"), failed("a"))
    assert decided(plan, *events, needless("plan")) == [
        Finish(RunEnd.NOTHING_TO_DO, "plan: it is there")
    ]
    assert decided(plan, *events, finished("plan")) == [StartWorkflow("triage", "a: no")]


def test_a_stage_that_was_needless_runs_again_when_it_or_another_is_taken_back() -> None:
    plan = plan_of(main={"plan": agent(), "beside": step(), "next": step("plan")})
    ended = (
        *(started("plan"), started("beside"), finished("beside"), needless("plan")),
        RunFinished(at=NOON, end=RunEnd.NOTHING_TO_DO),
    )
    assert decided(plan, *ended, taken_back("plan", "next"), OPENED) == [Start("plan")]
    assert decided(plan, *ended, taken_back("beside"), OPENED) == [Start("plan"), Start("beside")]
    alone = (OPENED, invoked("beside"), started("beside"), finished("beside"))
    assert decided(plan, *ended, *alone) == [Rest()]
    assert decided(plan, *ended, *alone, OPENED) == [Start("plan")]


def test_a_stage_that_a_person_cancelled_has_no_last_word() -> None:
    plan = plan_of(main={"plan": agent()})
    for word in (asks("plan"), needless("plan")):
        ended = decided(plan, started("plan"), cancelled("plan"), word, now=LATER)
        assert ended == [Finish(RunEnd.FAILED, "plan cancelled: enough")]


def test_what_a_needless_run_put_off_starts_at_once_when_the_run_goes_on() -> None:
    group = Stage(parallel={"slow": step()}, needs=names("a"), when=Expression("a.done"))
    plan = plan_of(main={"a": step(), "group": group, "plan": agent()})
    go = ConditionAnswered(at=NOON, stage="group", result=ConditionResult.GO)
    began = (started("a"), finished("a"), go, started("slow"), started("plan"), needless("plan"))
    ended = (
        *began,
        finished("slow", Outcome.PARKED, after=LATER),
        RunFinished(at=NOON, end=RunEnd.NOTHING_TO_DO),
    )
    back = (taken_back("group", "plan"), OPENED, go)
    assert decided(plan, *ended, *back) == [Start("slow"), Start("plan")]
