from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from trading import Account, Order, OrderRejected, Side
from trading.risk import Breach, LimitBreach, RiskMonitor

CHICAGO = ZoneInfo("America/Chicago")
UTC = ZoneInfo("UTC")


class Clock:
    def __init__(self, *when):
        self.now = datetime(*when, tzinfo=CHICAGO)

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock(2026, 1, 14, 9, 30)


@pytest.fixture
def monitor(clock):
    return RiskMonitor(Account("alice"), {"ES": 5}, clock)


def buy(contracts, instrument="ES"):
    return Order(instrument, Side.BUY, contracts, 5000.0)


def sell(contracts, instrument="ES"):
    return Order(instrument, Side.SELL, contracts, 5000.0)


def test_exactly_the_limit_is_allowed(monitor):
    assert monitor.submit(buy(5)).contracts == 5


def test_one_above_the_limit_is_refused_and_changes_nothing(monitor):
    monitor.submit(buy(5))
    with pytest.raises(LimitBreach) as caught:
        monitor.submit(buy(1))
    assert caught.value.breach == Breach(instrument="ES", limit=5, attempted=6)
    assert monitor.account.position("ES").contracts == 5
    assert monitor.traded("ES") == 5


def test_a_breach_is_a_rejected_order(monitor):
    with pytest.raises(OrderRejected):
        monitor.submit(sell(6))


def test_a_short_position_counts_like_a_long_one(monitor):
    assert monitor.submit(sell(5)).contracts == -5
    with pytest.raises(LimitBreach):
        monitor.submit(sell(1))


def test_reducing_is_allowed_beyond_the_limit(clock):
    account = Account("alice")
    account.fill(buy(9))
    monitor = RiskMonitor(account, {"ES": 5}, clock)
    assert monitor.submit(sell(2)).contracts == 7


def test_an_instrument_without_a_limit_has_none(monitor):
    assert monitor.submit(buy(1000, "NQ")).contracts == 1000


def test_all_listeners_are_told_in_order_before_the_error(monitor):
    told = []
    monitor.on_breach(lambda breach: told.append(("first", breach.attempted)))
    monitor.on_breach(lambda breach: told.append(("second", breach.attempted)))
    with pytest.raises(LimitBreach):
        monitor.submit(buy(8))
    assert told == [("first", 8), ("second", 8)]


def test_purchases_and_sales_are_both_counted(monitor):
    monitor.submit(buy(3))
    monitor.submit(sell(2))
    assert monitor.traded("ES") == 5
    assert monitor.traded("NQ") == 0


def test_the_counter_starts_anew_at_five_in_the_afternoon(monitor, clock):
    monitor.submit(buy(3))
    clock.now = datetime(2026, 1, 14, 16, 59, 59, tzinfo=CHICAGO)
    assert monitor.traded("ES") == 3
    clock.now = datetime(2026, 1, 14, 17, 0, 0, tzinfo=CHICAGO)
    assert monitor.traded("ES") == 0


def test_the_reset_is_in_chicago_also_for_a_clock_in_utc(clock):
    monitor = RiskMonitor(Account("alice"), {"ES": 5}, clock)
    clock.now = datetime(2026, 7, 14, 21, 59, tzinfo=UTC)
    monitor.submit(buy(2))
    assert monitor.traded("ES") == 2
    clock.now = datetime(2026, 7, 14, 22, 0, tzinfo=UTC)
    assert monitor.traded("ES") == 0


def test_the_reset_follows_the_change_to_summer_time(monitor, clock):
    clock.now = datetime(2026, 3, 7, 17, 0, tzinfo=CHICAGO)
    monitor.submit(buy(1))
    clock.now = datetime(2026, 3, 8, 16, 59, tzinfo=CHICAGO)
    assert monitor.traded("ES") == 1
    clock.now = datetime(2026, 3, 8, 17, 0, tzinfo=CHICAGO)
    assert monitor.traded("ES") == 0


def test_the_position_survives_the_reset(monitor, clock):
    monitor.submit(buy(5))
    clock.now = datetime(2026, 1, 15, 9, 0, tzinfo=CHICAGO)
    with pytest.raises(LimitBreach):
        monitor.submit(buy(1))
