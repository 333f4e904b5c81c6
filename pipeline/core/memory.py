"""What is remembered of each node of a run."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from pipeline.core.events import StageFinished, Usage
from pipeline.core.evidence import GateResult
from pipeline.core.outcomes import StopReason
from pipeline.core.retry import Used
from pipeline.language.flow import GateName


class Status(StrEnum):
    """Where a node stands."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


OPEN = frozenset({Status.PENDING, Status.WAITING})
"""Not begun, or to be tried again."""


class Spent(msgspec.Struct):
    """What all attempts of a stage used together; `None` as long as none of them reported it.

    `unreported` counts the attempts that may have cost something and did not say what.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    unreported: int = 0

    def add(self, usage: Usage, *, was_called: bool) -> None:
        """Add one attempt; one that was put off and reports nothing has used nothing."""
        self.input_tokens = _sum(self.input_tokens, usage.input_tokens)
        self.output_tokens = _sum(self.output_tokens, usage.output_tokens)
        if usage.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + usage.cost_usd
        elif was_called:
            self.unreported += 1


def _sum(so_far: int | None, more: int | None) -> int | None:
    return so_far if more is None else (so_far or 0) + more


class NodeState(msgspec.Struct):
    """One node's state.

    `unmet` counts what it still waits for, `remaining` the children that are not over. `is_over`
    means that what needs it may go on, be it done, skipped, or failed where that may be passed
    over. `used` are its retry budgets in this round. `is_sent_back` means that its gates or a
    person sent the round back, which its loop has yet to decide; `has_question` that it wants to
    ask a person something. `revisions` counts how often it asked, or how often an approval sent its
    stages back; `replies` is all that persons answered it, whatever became of its attempts since.
    `parked` says for whom it waits. `calls` counts the times its agent was really called. `last` is
    its newest attempt, `last_number` the place of that among all attempts that ended, `done_number`
    the place of its result among all of the run. `runs` counts its results in all rounds, `refused`
    has the newest failure of each of its gates in all rounds.
    """

    unmet: int
    remaining: int
    status: Status = Status.PENDING
    is_over: bool = False
    is_sent_back: bool = False
    has_question: bool = False
    reason: str = ""
    hint: str = ""
    attempts: int = 0
    calls: int = 0
    used: Used = msgspec.field(default_factory=Used)
    spent: Spent = msgspec.field(default_factory=Spent)
    revisions: int = 0
    round: int = 1
    condition_holds: bool = False
    is_unfolded: bool = False
    parked: StopReason | None = None
    not_before: datetime | None = None
    feedback: tuple[str, ...] = ()
    replies: tuple[str, ...] = ()
    last: StageFinished | None = None
    last_number: int = 0
    history: list[tuple[str, str]] = []
    value: Any = None
    done_number: int = 0
    runs: int = 0
    refused: dict[GateName, GateResult] = {}
