"""Risk monitoring: position limits, breach notices, and counters that start anew every trading day."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from trading.account import Account
from trading.orders import Order, OrderRejected
from trading.positions import Position

RESET_AT = time(17, 0)


@dataclass(frozen=True)
class Breach:
    """An order that would have exceeded a limit: `attempted` is the position it would have led to."""

    instrument: str
    limit: int
    attempted: int


class LimitBreach(OrderRejected):
    """An order was refused because of a position limit."""

    def __init__(self, breach: Breach) -> None:
        super().__init__(f"{breach.instrument}: {breach.attempted} contracts, the limit is {breach.limit}")
        self.breach = breach


class RiskMonitor:
    """Stands in front of an account and lets only orders within the limits through.

    `limits` are contracts by instrument, long or short; `clock` returns an aware time. Counters of
    traded contracts start at zero every day at 17:00 US Central time.
    """

    def __init__(self, account: Account, limits: Mapping[str, int], clock: Callable[[], datetime]) -> None:
        self.account = account
        self._limits = dict(limits)
        self._clock = clock
        self._listeners: list[Callable[[Breach], None]] = []
        self._traded: dict[str, int] = {}
        self._day = self._trading_day()

    def on_breach(self, listener: Callable[[Breach], None]) -> None:
        """Have `listener` called with every breach."""
        self._listeners.append(listener)

    def submit(self, order: Order) -> Position:
        """Fill an order within its limit. Raises `LimitBreach`, changing nothing, for one beyond it."""
        self._reset_if_due()
        self._check(order)
        position = self.account.fill(order)
        self._traded[order.instrument] = self._traded.get(order.instrument, 0) + order.contracts
        return position

    def traded(self, instrument: str) -> int:
        """Return the contracts traded since the last reset, purchases and sales alike."""
        self._reset_if_due()
        return self._traded.get(instrument, 0)

    def _check(self, order: Order) -> None:
        limit = self._limits.get(order.instrument)
        before = self.account.position(order.instrument).contracts
        after = before + order.signed
        if limit is None or abs(after) < limit or abs(after) < abs(before):
            return
        breach = Breach(order.instrument, limit, abs(after))
        for listener in self._listeners:
            listener(breach)
        raise LimitBreach(breach)

    def _reset_if_due(self) -> None:
        day = self._trading_day()
        if day != self._day:
            self._day = day
            self._traded.clear()

    def _trading_day(self) -> date:
        """Name the trading day: from 17:00 on, it is the next one."""
        now = self._clock()
        return now.date() + timedelta(days=1) if now.time() >= RESET_AT else now.date()
