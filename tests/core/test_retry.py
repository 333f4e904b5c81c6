"""What follows an attempt: the table of `core/retry`, held against a second telling of the same
rules.
"""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.budget import Budget
from pipeline.core.events import StageFinished, Usage
from pipeline.core.outcomes import Outcome, StopReason
from pipeline.core.retry import (
    TABLE,
    Charge,
    Ending,
    Used,
    backoff_s,
    ending_of,
    is_parked,
    is_retried,
    not_before,
    rule_of,
)
from pipeline.language.flow import FailureKind, Retry, StageLimits
from pipeline.language.plan import Kind, Node
from pipeline.language.words import Count

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
RESET = NOON + timedelta(hours=1)
KINDS = (None, *FailureKind)
ATTEMPTS = list(product(Outcome, KINDS))


def after(outcome: Outcome, kind: FailureKind | None, times: int) -> Used:
    used = Used()
    for _ in range(times):
        used.charge(rule_of(outcome, kind).charge)
    return used


def test_every_ending_has_a_row_and_every_attempt_an_ending():
    assert set(TABLE) == set(Ending)
    endings = {
        ending_of(outcome, kind, stop) for outcome, kind in ATTEMPTS for stop in (None, *StopReason)
    }
    assert endings == set(Ending)


@pytest.mark.parametrize("stop", [None, *StopReason])
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_call_costs_what_was_reserved_and_one_that_never_began_nothing(kind, stop):
    interrupted = {StopReason.INTERRUPTED, StopReason.LIMIT_REACHED}
    has_cost = kind is not FailureKind.QUOTA and stop in interrupted
    budget = Budget(reserved={"a": StageLimits(usd=2.0, tokens=Count(7))})
    event = StageFinished(
        at=NOON, stage="a", attempt=1, outcome=Outcome.PARKED, kind=kind, stop=stop
    )
    budget.settle(event)
    assert (budget.spent_usd, budget.spent_tokens) == ((2.0, 7) if has_cost else (0.0, 0))


@given(st.sampled_from(ATTEMPTS), st.integers(1, 20), st.builds(
    Retry,
    max=st.integers(0, 5),
    on=st.sets(st.sampled_from(FailureKind)).map(tuple),
    lost=st.integers(0, 5),
    quota=st.integers(0, 5),
))  # fmt: skip
def test_whether_another_attempt_follows_is_as_the_flow_says(attempt, times, retry):
    outcome, kind = attempt
    used = after(outcome, kind, times)
    match outcome:
        case Outcome.FAILED:
            wanted = kind in retry.on and times <= retry.max
        case Outcome.LOST:
            wanted = times <= retry.lost
        case Outcome.PARKED:
            wanted = True
        case _:
            wanted = False
    assert is_retried(outcome, kind, used, retry) is wanted


@given(st.sampled_from(ATTEMPTS), st.integers(1, 20), st.integers(0, 5))
def test_only_what_was_put_off_parks_and_a_quota_only_after_its_waits(attempt, times, quota):
    outcome, kind = attempt
    used = after(outcome, kind, times)
    wanted = outcome is Outcome.PARKED and (kind is not FailureKind.QUOTA or times > quota)
    assert is_parked(outcome, kind, used, Retry(quota=quota)) is wanted


@pytest.mark.parametrize(("outcome", "kind"), ATTEMPTS)
def test_each_budget_is_charged_by_its_own_kind_of_ending_alone(outcome, kind):
    used = after(outcome, kind, 1)
    assert used.tries == (outcome is Outcome.FAILED)
    assert used.losses == (outcome is Outcome.LOST)
    assert used.quota_waits == (outcome is Outcome.PARKED and kind is FailureKind.QUOTA)


@pytest.mark.parametrize(("outcome", "kind"), ATTEMPTS)
def test_an_agent_that_was_put_off_or_lost_was_not_called(outcome, kind):
    assert rule_of(outcome, kind).is_call is (outcome not in {Outcome.LOST, Outcome.PARKED})


@pytest.mark.parametrize(("outcome", "kind"), ATTEMPTS)
def test_only_an_attempt_that_was_put_off_gives_its_reserve_back(outcome, kind):
    node = Node(
        id="a",
        kind=Kind.AGENT,
        workflow="main",
        order=(0,),
        limits=StageLimits(usd=2.0, tokens=Count(7)),
    )
    budget = Budget(reserved={})
    budget.reserve(node)
    budget.settle(StageFinished(at=NOON, stage="a", attempt=1, outcome=outcome, kind=kind))
    spent = (0.0, 0) if outcome is Outcome.PARKED else (2.0, 7)
    assert (budget.spent_usd, budget.spent_tokens, budget.reserved) == (*spent, {})


@pytest.mark.parametrize(("outcome", "kind"), ATTEMPTS)
def test_what_an_attempt_reports_is_charged_whatever_became_of_it(outcome, kind):
    budget = Budget(reserved={"a": StageLimits(usd=2.0, tokens=Count(7))})
    usage = Usage(input_tokens=3, output_tokens=1, cost_usd=0.5)
    budget.settle(
        StageFinished(at=NOON, stage="a", attempt=1, outcome=outcome, kind=kind, usage=usage)
    )
    assert (budget.spent_usd, budget.spent_tokens) == (0.5, 4)


def test_a_transient_failure_waits_longer_each_time_and_others_start_at_once():
    waits = [
        not_before(Outcome.FAILED, FailureKind.TRANSIENT, tries=tries, now=NOON, reported=None)
        for tries in (1, 2, 3)
    ]
    assert waits == [NOON + timedelta(seconds=seconds) for seconds in (2, 4, 8)]
    for kind in set(KINDS) - {FailureKind.TRANSIENT}:
        assert not_before(Outcome.FAILED, kind, tries=1, now=NOON, reported=None) is None


def test_the_pause_grows_to_two_minutes_and_no_further():
    assert [backoff_s(tries) for tries in (1, 7, 8, 10_000)] == [2.0, 120.0, 120.0, 120.0]


def test_a_quota_is_waited_for_until_the_time_that_was_reported():
    quota = (Outcome.PARKED, FailureKind.QUOTA)
    assert not_before(*quota, tries=0, now=NOON, reported=RESET) == RESET


def test_what_is_parked_is_looked_at_again_after_five_seconds():
    assert not_before(Outcome.PARKED, None, tries=0, now=NOON, reported=None) == (
        NOON + timedelta(seconds=5)
    )


def test_a_charge_of_nothing_leaves_all_budgets_as_they_are():
    used = Used(tries=1, losses=2, quota_waits=3)
    used.charge(Charge.NOTHING)
    assert used == Used(tries=1, losses=2, quota_waits=3)
