"""What is remembered of each node of a run."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from pipeline.core.events import StageFinished


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


class NodeState(msgspec.Struct):
    """One node's state.

    `over` means: what needs it may go on, be it done, skipped, or failed where that may be passed
    over. `tries` counts failed attempts of this round, `losses` crashed ones, `waits` those that
    ended at a quota, `red` means that its gates or a person sent the round back, which its loop is
    to judge; `wonders` that it has asked a person something. `revisions` counts how often it did,
    or how often an approval sent its stages back; `replies` is all that persons answered it,
    whatever became of its attempts since. `done_as` is the number of this result among all of the
    run.
    """

    unmet: int
    remaining: int
    status: Status = Status.PENDING
    over: bool = False
    red: bool = False
    wonders: bool = False
    reason: str = ""
    attempts: int = 0
    tries: int = 0
    losses: int = 0
    waits: int = 0
    revisions: int = 0
    round: int = 1
    judged: bool = False
    unfolded: bool = False
    parked: bool = False
    not_before: datetime | None = None
    told: tuple[str, ...] = ()
    replies: tuple[str, ...] = ()
    last: StageFinished | None = None
    history: list[tuple[str, str]] = []
    value: Any = None
    done_as: int = 0
