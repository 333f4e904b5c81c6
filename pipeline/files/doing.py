"""What is going on right now, for whoever waits for it: nothing is decided by it or recorded."""

from typing import Protocol


class Doing(Protocol):
    """Shows what takes long while it takes long; called from several threads."""

    def step(self, text: str) -> None:
        """Say which step has begun; an empty text ends the last one."""

    def detail(self, text: str) -> None:
        """Say what the step is at, for those who can see it change."""


class Silent:
    """Shows nothing."""

    def step(self, text: str) -> None:
        """Take no note."""

    def detail(self, text: str) -> None:
        """Take no note."""


SILENT = Silent()
