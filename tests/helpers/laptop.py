"""A machine whose clocks a test moves: it works, or its lid is closed."""

import time
from datetime import UTC, datetime, timedelta

import pytest

NIGHT_S = 8 * 3600.0


class Laptop:
    """`awake_s` counts while it works, the time on the wall always."""

    def __init__(self) -> None:
        self._awake_s = 1000.0
        self._wall = datetime(2026, 1, 2, 22, tzinfo=UTC)

    def awake_s(self) -> float:
        return self._awake_s

    def now(self) -> datetime:
        return self._wall

    def wall_s(self) -> float:
        return self._wall.timestamp()

    def work(self, seconds: float) -> None:
        self._awake_s += seconds
        self._wall += timedelta(seconds=seconds)

    def sleep(self, seconds: float = NIGHT_S) -> None:
        self._wall += timedelta(seconds=seconds)

    def _asked(self, clock: int) -> float:
        return self._awake_s if clock == time.CLOCK_MONOTONIC else self.wall_s()

    def take_over(self, patch: pytest.MonkeyPatch) -> None:
        """Have Python's own clocks show what this machine's do."""
        patch.setattr(time, "monotonic", self.awake_s)
        patch.setattr(time, "time", self.wall_s)
        patch.setattr(time, "clock_gettime", self._asked)
