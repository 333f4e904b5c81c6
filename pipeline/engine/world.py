"""What a run needs from outside, made once by the wiring and handed in."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from pipeline.core.events import Event
from pipeline.core.settings import Settings
from pipeline.core.state import RunState
from pipeline.files.clocks import Clock, awake_s
from pipeline.files.rundir import RunDir
from pipeline.repo.store import Store
from pipeline.repo.user import UserRepo

Listener = Callable[[Event, RunState], None]

TOOLS = ("PATH", "VIRTUAL_ENV", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")
"""What of the starting person's environment says which tools are meant; recorded with the run."""

_HOMES = {
    "RUSTUP_HOME": ".rustup", "CARGO_HOME": ".cargo", "GOPATH": "go", "PYENV_ROOT": ".pyenv", "NVM_DIR": ".nvm",
}  # fmt: skip
"""Where tools keep their toolchains, below a HOME that tests do not get."""

_AGENT_BASE = (*TOOLS, "LANG", "LC_ALL", "TZ")


class World(msgspec.Struct, frozen=True, kw_only=True):
    """The user's repository, our folders, clocks and randomness.

    `environ` is only ever read by name.

    `clock` is the time on the wall, `awake` that of deadlines: it stands still while the machine
    sleeps.
    """

    user: UserRepo
    repo_state: Path
    settings: Settings
    environ: Mapping[str, str]
    clock: Callable[[], datetime]
    randomness: Callable[[int], bytes]
    shipped: Path
    listeners: tuple[Listener, ...] = ()
    awake: Clock = awake_s

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

    def gate_env(self, tools: Mapping[str, str] | None = None) -> dict[str, str]:
        """Build the environment of tests and checks: `tools` say whose PATH and VIRTUAL_ENV.

        Tools find their homes.
        """
        home = Path(self.environ.get("HOME", "/"))
        homes = {
            name: str(home / folder) for name, folder in _HOMES.items() if (home / folder).is_dir()
        }
        given = {name: self.environ[name] for name in _HOMES if name in self.environ}
        return {**homes, **given, **self.child_env(), **(tools or {})}

    def child_env(self, pass_env: tuple[str, ...] = ()) -> dict[str, str]:
        """Build the environment of a child from an allow-list; a name may end in `*`."""
        exact = {name for name in pass_env if not name.endswith("*")}
        prefixes = tuple(name[:-1] for name in pass_env if name.endswith("*"))
        env = {
            name: value
            for name, value in self.environ.items()
            if name in _AGENT_BASE or name in exact or (prefixes and name.startswith(prefixes))
        }
        return {
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "NO_COLOR": "1",
            "CI": "1",
            **env,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_OPTIONAL_LOCKS": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
