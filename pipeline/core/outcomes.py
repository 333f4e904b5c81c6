"""How an attempt ends, how a run ends, and why a run stopped, as enums."""

from enum import StrEnum

ENGINE = "engine"
"""Who made an attempt that was done without calling an agent."""


class Outcome(StrEnum):
    """How one attempt of a stage ended."""

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    CANCELLED = "cancelled"
    PARKED = "parked"
    ASKS = "asks"
    DECLINED = "declined"


class RunEnd(StrEnum):
    """How a run ended for good."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NOTHING_TO_DO = "nothing_to_do"


class StopReason(StrEnum):
    """Why nobody works on a run any more: it ended, or it waits for somebody.

    Exit codes follow from it, and from nothing else (`exit_code`).
    """

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NOTHING_TO_DO = "nothing_to_do"
    BASE_UNUSABLE = "base_unusable"
    SETUP_FAILED = "setup_failed"
    PUBLISH_REFUSED = "publish_refused"
    ANSWER_WANTED = "answer_wanted"
    LIMIT_REACHED = "limit_reached"
    LOCK_HELD = "lock_held"
    NO_ROOM = "no_room"
    QUOTA_USED_UP = "quota_used_up"
    INTERRUPTED = "interrupted"

    @property
    def exit_code(self) -> int:
        """The exit status of a command that leaves the run like this (see `errors`)."""
        return _EXIT_CODES[self]

    @property
    def waits_for_person(self) -> bool:
        """Whether nothing but a person's decision lets the run go on."""
        return self in {StopReason.ANSWER_WANTED, StopReason.LIMIT_REACHED}


NOT_STOPPED_EXIT_CODE = 75
"""The exit status for a run that is being worked on or was killed: try again later."""

_EXIT_CODES = {
    StopReason.DONE: 0,
    StopReason.FAILED: 1,
    StopReason.BASE_UNUSABLE: 2,
    StopReason.SETUP_FAILED: 2,
    StopReason.PUBLISH_REFUSED: 2,
    StopReason.ANSWER_WANTED: 3,
    StopReason.LIMIT_REACHED: 3,
    StopReason.NOTHING_TO_DO: 5,
    StopReason.LOCK_HELD: 75,
    StopReason.NO_ROOM: 75,
    StopReason.QUOTA_USED_UP: 75,
    StopReason.CANCELLED: 130,
    StopReason.INTERRUPTED: 130,
}

PARK_ORDER = (
    StopReason.ANSWER_WANTED,
    StopReason.LIMIT_REACHED,
    StopReason.PUBLISH_REFUSED,
    StopReason.SETUP_FAILED,
    StopReason.LOCK_HELD,
    StopReason.NO_ROOM,
    StopReason.QUOTA_USED_UP,
    StopReason.INTERRUPTED,
)
"""Which reason a run is said to wait for when several stages wait: who has to act goes first."""
