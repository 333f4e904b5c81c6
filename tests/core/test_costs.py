"""What a run cost is what all its attempts reported, whatever became of them."""

from pipeline.core.events import RoundStarted, StageFinished, StageStarted, Usage
from pipeline.core.outcomes import Outcome
from pipeline.language.flow import FailureKind, GateName, Loop, Retry, Stage
from pipeline.language.words import Expression, Name
from tests.core.test_decide_persons import taken_back
from tests.core.test_decide_rules import NOON, after
from tests.core.test_decide_words import agent, plan_of


def begun(stage: str, attempt: int = 1) -> StageStarted:
    return StageStarted(at=NOON, stage=stage, attempt=attempt)


def paid(
    stage: str, cost_usd: float, kind: FailureKind | None = None, attempt: int = 1
) -> StageFinished:
    outcome = Outcome.DONE if kind is None else Outcome.FAILED
    usage = Usage(cost_usd=cost_usd)
    return StageFinished(
        at=NOON, stage=stage, attempt=attempt, outcome=outcome, kind=kind, usage=usage
    )


def test_a_run_has_spent_what_all_its_attempts_cost():
    plan = plan_of(main={"a": agent(retry=Retry(max=1, on=(FailureKind.AGENT,))), "b": agent()})
    failed = paid("a", 1.25, FailureKind.AGENT)
    again = (begun("a", 2), paid("a", 0.5, attempt=2))
    state = after(plan, begun("a"), failed, *again, begun("b"), paid("b", 0.25))
    assert (state.budget.spent_usd, state.cost_usd) == (2.0, 2.0)
    assert state.nodes["a"].spent.cost_usd == 1.75


def test_what_earlier_rounds_cost_is_part_of_the_cost():
    loop = Loop(max=3, until=Expression("check.passed"))
    check = Stage(agent=Name("role"), needs=(Name("make"),), gates=(GateName.GREEN,))
    plan = plan_of(main={"fix": Stage(loop=loop, stages={"make": agent(), "check": check})})
    red = paid("check", 0.5, FailureKind.GATE)
    first = (begun("make"), paid("make", 1.0), begun("check"), red)
    second = (RoundStarted(at=NOON, loop="fix", round=2, feedback=()), begun("make", 2))
    state = after(plan, *first, *second, paid("make", 0.25, attempt=2))
    assert state.nodes["make"].spent.cost_usd == 1.25
    assert state.cost_usd == 1.75


def test_what_was_taken_back_was_paid_all_the_same():
    plan = plan_of(main={"a": agent(), "b": agent("a")})
    state = after(plan, begun("a"), paid("a", 1.0), taken_back("a", "b"))
    assert (state.nodes["a"].last, state.cost_usd, state.budget.spent_usd) == (None, 1.0, 1.0)
