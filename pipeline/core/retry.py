"""What follows an attempt that is over: whether there is another one, when, and what it is charged.

One table for every way to end. Money and calls stand in it too. An attempt that never began costs
nothing; one that was interrupted has cost what it reported, or else what was reserved for it. Calls
that were lost, interrupted or put off are not counted, so that they are made again.
`docs/reference/retries.md` shows the table; `tests/core/test_retry.py` holds an oracle against
it.
"""

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from pipeline.core.outcomes import Outcome, StopReason
from pipeline.language.flow import FailureKind, Retry

FIRST_DELAY_S = 2.0
LONGEST_DELAY_S = 120.0
PARKED_DELAY_S = 5.0
"""How long a parked stage waits before it is tried again while other stages still run."""


class Charge(StrEnum):
    """Which of a stage's budgets an attempt uses up."""

    NOTHING = "nothing"
    TRY = "try"
    LOSS = "loss"
    QUOTA_WAIT = "quota_wait"


class Delay(StrEnum):
    """When the next attempt may start."""

    NONE = "none"
    BACKOFF = "backoff"
    REPORTED = "reported"
    PARKED = "parked"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table.

    `again` is whether another attempt is made as long as the charged budget lasts; `parks` that
    without another stage running the run waits for somebody; `is_call` that the agent was really
    called; `keeps_reserve` that an attempt which reports no cost is taken to have cost what was
    reserved.
    """

    again: bool
    charge: Charge
    delay: Delay = Delay.NONE
    parks: bool = False
    is_call: bool = True
    keeps_reserve: bool = True


class Ending(StrEnum):
    """The ways in which an attempt ends, as far as they matter here."""

    DONE = "done"
    FAILED_TRANSIENT = "failed, transient"
    FAILED = "failed"
    LOST = "lost"
    QUOTA_USED_UP = "quota used up"
    PARKED = "parked"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"
    ASKED = "asked or declined"


TABLE: dict[Ending, Rule] = {
    Ending.DONE: Rule(again=False, charge=Charge.NOTHING),
    Ending.FAILED_TRANSIENT: Rule(again=True, charge=Charge.TRY, delay=Delay.BACKOFF),
    Ending.FAILED: Rule(again=True, charge=Charge.TRY),
    Ending.LOST: Rule(again=True, charge=Charge.LOSS, is_call=False),
    Ending.QUOTA_USED_UP: Rule(
        again=True,
        charge=Charge.QUOTA_WAIT,
        delay=Delay.REPORTED,
        is_call=False,
        keeps_reserve=False,
    ),
    Ending.PARKED: Rule(
        again=True,
        charge=Charge.NOTHING,
        delay=Delay.PARKED,
        parks=True,
        is_call=False,
        keeps_reserve=False,
    ),
    Ending.INTERRUPTED: Rule(
        again=True, charge=Charge.NOTHING, delay=Delay.PARKED, parks=True, is_call=False
    ),
    Ending.CANCELLED: Rule(again=False, charge=Charge.NOTHING),
    Ending.ASKED: Rule(again=False, charge=Charge.NOTHING),
}


_INTERRUPTING = (StopReason.INTERRUPTED, StopReason.LIMIT_REACHED)
"""Reasons for which an attempt that runs is ended, to be made again."""


class Used(msgspec.Struct):
    """How much of its budgets a stage has used: failed tries of this round, losses, quota waits."""

    tries: int = 0
    losses: int = 0
    quota_waits: int = 0

    def charge(self, charge: Charge) -> None:
        """Count one attempt."""
        self.tries += charge is Charge.TRY
        self.losses += charge is Charge.LOSS
        self.quota_waits += charge is Charge.QUOTA_WAIT


def ending_of(outcome: Outcome, kind: FailureKind | None, stop: StopReason | None) -> Ending:
    """Return the row of an attempt's outcome; `stop` is why it was parked, if it was."""
    match outcome:
        case Outcome.DONE:
            return Ending.DONE
        case Outcome.FAILED:
            return Ending.FAILED_TRANSIENT if kind is FailureKind.TRANSIENT else Ending.FAILED
        case Outcome.LOST:
            return Ending.LOST
        case Outcome.PARKED:
            if kind is FailureKind.QUOTA:
                return Ending.QUOTA_USED_UP
            return Ending.INTERRUPTED if stop in _INTERRUPTING else Ending.PARKED
        case Outcome.CANCELLED:
            return Ending.CANCELLED
        case Outcome.ASKS | Outcome.DECLINED:
            return Ending.ASKED


def rule_of(outcome: Outcome, kind: FailureKind | None, stop: StopReason | None = None) -> Rule:
    """Return the rule for an attempt's outcome."""
    return TABLE[ending_of(outcome, kind, stop)]


def is_retried(outcome: Outcome, kind: FailureKind | None, used: Used, retry: Retry) -> bool:
    """Return whether another attempt follows one that is charged already."""
    rule = rule_of(outcome, kind)
    match rule.charge:
        case Charge.TRY:
            return rule.again and kind in retry.on and used.tries <= retry.max
        case Charge.LOSS:
            return rule.again and used.losses <= retry.lost
        case Charge.QUOTA_WAIT | Charge.NOTHING:
            return rule.again


def is_parked(outcome: Outcome, kind: FailureKind | None, used: Used, retry: Retry) -> bool:
    """Return whether an attempt that is charged already leaves its stage to somebody else."""
    rule = rule_of(outcome, kind)
    if rule.charge is Charge.QUOTA_WAIT:
        return used.quota_waits > retry.quota
    return rule.parks


def not_before(
    outcome: Outcome,
    kind: FailureKind | None,
    *,
    tries: int,
    now: datetime,
    reported: datetime | None,
) -> datetime | None:
    """Return when the next attempt may start; None for at once, or when there is none.

    `tries` counts the failed tries of this round, this one included; `reported` is what the attempt
    itself said about it, and goes before everything else.
    """
    match rule_of(outcome, kind).delay:
        case Delay.BACKOFF:
            return reported or now + timedelta(seconds=backoff_s(tries))
        case Delay.PARKED:
            return reported or now + timedelta(seconds=PARKED_DELAY_S)
        case Delay.REPORTED | Delay.NONE:
            return reported


def backoff_s(tries: int) -> float:
    """Return the pause in seconds after the n-th failed try (n from 1): doubling, bounded."""
    return float(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(max(tries, 1) - 1, 16)))
