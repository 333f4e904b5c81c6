"""The clocks of this program: awake time for all deadlines, wall-clock time for people.

Awake time does not advance while the machine is suspended. Python's `time.monotonic` is
CLOCK_MONOTONIC on Linux and `mach_absolute_time` on macOS, which both stop then. CLOCK_BOOTTIME,
`mach_continuous_time` and the wall clock go on: by them every command would be past its deadline
when a laptop wakes up after a night. Waits with a timeout in the kernel or in Python (a selector, a
queue, a child, a lock) count awake time as well.

Some times are meant by the calendar: until when an approval can be answered, when a stage may be
retried (a quota is restored whether or not the machine sleeps), the age of what `clean` removes,
and every time that a person reads.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]
"""Returns seconds since an arbitrary moment; only differences have a meaning."""

WallClock = Callable[[], datetime]
"""Returns the time in UTC."""


def utc_now() -> datetime:
    """Return the wall-clock time in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one place


def awake_s() -> float:
    """Return the seconds that the machine was awake since an arbitrary moment."""
    return time.monotonic()  # noqa: TID251 - this is the home of awake time


class Deadline:
    """A moment `limit_s` seconds of awake time from now."""

    def __init__(self, limit_s: float, clock: Clock = awake_s) -> None:
        """Start counting."""
        self._clock = clock
        self._at_s = clock() + limit_s

    @property
    def left_s(self) -> float:
        """The time that is left; 0 once the deadline has passed."""
        return max(0.0, self._at_s - self._clock())
