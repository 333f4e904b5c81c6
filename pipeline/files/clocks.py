"""The clocks of this program: awake time for every deadline, and the time on the wall for people.

Awake time counts how long the machine was awake, never how long it slept. Python's `time.monotonic` is
CLOCK_MONOTONIC on Linux and `mach_absolute_time` on macOS: both stand still while the machine is
suspended. CLOCK_BOOTTIME, `mach_continuous_time` and the time on the wall go on, and by them all that
ran would be ended when a laptop wakes up after a night. What waits in the kernel or in Python for so
many seconds (a selector, a queue, a child, a lock) counts the same way.

By the calendar, on purpose: until when an approval can be answered, from when a stage may be tried again
(a quota comes back asleep or not), the age of what `clean` removes, and every time that a person reads.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]
"""Gives seconds since some moment; only differences mean something."""


WallClock = Callable[[], datetime]
"""Gives the time in UTC."""


def utc_now() -> datetime:
    """Return the time on the wall, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - this is the home of the time on the wall


def awake_s() -> float:
    """Count the seconds that the machine was awake since some moment before."""
    return time.monotonic()  # noqa: TID251 - this is the home of awake time


class Deadline:
    """A moment so many seconds of awake time from now."""

    def __init__(self, limit_s: float, clock: Clock = awake_s) -> None:
        """Begin to count."""
        self._clock = clock
        self._at_s = clock() + limit_s

    @property
    def left_s(self) -> float:
        """How long there still is; 0 when there is no time left."""
        return max(0.0, self._at_s - self._clock())
