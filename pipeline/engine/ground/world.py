"""What a run needs from outside, made once by the wiring and handed in."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from pipeline.core.events import Event
from pipeline.core.redact import Redactor
from pipeline.core.settings import Settings
from pipeline.core.state import RunState
from pipeline.files.clocks import Clock, WallClock, awake_s
from pipeline.files.doing import SILENT, Doing
from pipeline.files.rundir import RunDir
from pipeline.repo.store import Store
from pipeline.repo.user import UserRepo


class Listener(Protocol):
    """Whoever wants to know what happens in a run: views, boards, notices."""

    def hear(self, event: Event, state: RunState) -> None:
        """Take in one event, right after it was written down; `state` is that after it."""

    def show_again(self, events: Sequence[Event], state: RunState) -> None:
        """Show all that was heard so far once more: the run folder was lost, and is made anew."""

    def close(self, state: RunState) -> None:
        """Take note that this process lets the run go; called once, whatever the reason."""


ListenerMaker = Callable[[RunDir], Listener]
"""Makes a listener for one run, when this process opens its record."""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """The user's repository, our folders, clocks, randomness; `environ` is read by name only.

    `clock` is the time on the wall, `awake` that of deadlines: it stands still while the machine
    sleeps. `doing` shows what takes long. `secrets` reads those of the person, which can change;
    `redactor` is the one of this process.
    """

    user: UserRepo
    repo_state: Path
    settings: Settings
    environ: Mapping[str, str]
    clock: WallClock
    randomness: Callable[[int], bytes]
    shipped: Path
    listeners: tuple[ListenerMaker, ...] = ()
    awake: Clock = awake_s
    doing: Doing = SILENT
    secrets: Callable[[], Mapping[str, str]] = dict
    redactor: Redactor = msgspec.field(default_factory=Redactor)

    def store(self) -> Store:
        """Open the repository's trusted store."""
        return Store(
            self.repo_state / "store.git",
            self.user.objects,
            object_format=self.user.object_format,
            filters=self.user.filters,
            file_max_bytes=int(self.settings.file_max_mb * 1_000_000),
        )

    def rundir(self, run_id: str) -> RunDir:
        """Name a run's folders."""
        return RunDir(self.user.root, self.repo_state, run_id)
