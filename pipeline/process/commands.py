"""The one place that makes commands: environment, secrets, limits and locks of everything we start.

Stages, set-up, tests, checks and formatters differ by their purpose alone, and what a purpose means stands
in one table. A sandbox goes in here: `CommandMaker.make` is the only maker of a `LaunchSpec`.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from pipeline.core import redact
from pipeline.process.environment import child_env, toolchains, with_programs
from pipeline.process.spec import LaunchSpec, OnOrphan


class Purpose(StrEnum):
    """What a command is for."""

    STAGE = "stage"
    SETUP = "setup"
    TEST = "test"
    CHECK = "check"


class _Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a purpose means.

    `recorded_tools`: the PATH of the person who started the run counts, not of who resumed it.
    `private_home`: HOME is never the person's own, whatever is passed on. `toolchains`: tools are led to
    their toolchains all the same. `private_tmp`: temporary files go with the command. `caches` name the
    variables of caches that outlive it.
    """

    on_orphan: OnOrphan
    recorded_tools: bool = True
    private_home: bool = True
    toolchains: bool = True
    private_tmp: bool = True
    caches: Mapping[str, str] = {}


_COMPILED = {"GOCACHE": "go", "CARGO_TARGET_DIR": "cargo"}
_POLICIES = {
    Purpose.STAGE: _Policy(
        on_orphan=OnOrphan.ADOPT, recorded_tools=False, private_home=False, toolchains=False
    ),
    Purpose.SETUP: _Policy(
        on_orphan=OnOrphan.KILL, private_home=False, toolchains=False, private_tmp=False
    ),
    Purpose.TEST: _Policy(on_orphan=OnOrphan.KILL, caches=_COMPILED),
    Purpose.CHECK: _Policy(
        on_orphan=OnOrphan.KILL, caches={**_COMPILED, "XDG_CACHE_HOME": "tools"}
    ),
}


class CommandRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One command that is wanted.

    `cwd` is where it runs, `folder` its own folder for logs and a private HOME. `pass_env` are variables of
    the person that it may see, `variables` those set for it. Programs in `programs` go in front of the
    PATH, the last first; `port_base` is the first port it may use (0: none). Of `locks`, `agent` and
    `stage` the holder's record is made.
    """

    purpose: Purpose
    argv: tuple[str, ...]
    cwd: Path
    folder: Path
    timeout_s: float
    idle_timeout_s: float = 0.0
    stdin: Path | None = None
    pass_env: tuple[str, ...] = ()
    variables: Mapping[str, str] = {}
    programs: tuple[Path, ...] = ()
    port_base: int = 0
    locks: tuple[Path, ...] = ()
    agent: str = ""
    stage: str = ""


class CommandMaker:
    """Makes the commands of one run."""

    def __init__(
        self,
        environ: Mapping[str, str],
        tools: Mapping[str, str],
        *,
        run_id: str,
        caches: Path,
        lock_timeout_s: float,
        portable: bool,
        secrets: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """`environ` is the person's, of which only what is named is passed on.

        `tools` are the variables recorded with the run that say which programs are meant, `secrets`
        gives the values that no output may hold besides those of a command's own variables.
        """
        self._environ = environ
        self._tools = dict(tools)
        self._run_id = run_id
        self._caches = caches
        self._lock_timeout_s = lock_timeout_s
        self._portable = portable
        self._secrets = secrets

    def make(self, request: CommandRequest) -> LaunchSpec:
        """Return the command as it is to be launched; makes its private HOME."""
        env = self.environment(request)
        (request.folder / "home").mkdir(parents=True, exist_ok=True)
        return LaunchSpec(
            argv=request.argv,
            cwd=str(request.cwd),
            env=env,
            folder=str(request.folder),
            stdin=str(request.stdin or ""),
            timeout_s=request.timeout_s,
            idle_timeout_s=request.idle_timeout_s or request.timeout_s,
            on_orphan=_POLICIES[request.purpose].on_orphan,
            locks=tuple(map(str, request.locks)),
            lock_timeout_s=self._lock_timeout_s,
            run_id=self._run_id,
            agent=request.agent,
            stage=request.stage,
            secrets=(*redact.secrets(env), *self._secrets()),
            portable=self._portable,
        )

    def environment(self, request: CommandRequest) -> dict[str, str]:
        """Return a command's whole environment."""
        policy, home = _POLICIES[request.purpose], str(request.folder / "home")
        env = {"HOME": home, **self._base(policy, request.pass_env)}
        if policy.private_home:
            env["HOME"] = home
        if policy.private_tmp:
            env["TMPDIR"] = home
        env |= {name: str(self._caches / folder) for name, folder in policy.caches.items()}
        env = with_programs({**env, **request.variables}, request.programs)
        return {**env, "PIPELINE_PORT_BASE": str(request.port_base)} if request.port_base else env

    def path_of(self, purpose: Purpose) -> str:
        """Return the PATH that commands of a purpose start from."""
        return self._base(_POLICIES[purpose], ()).get("PATH", "")

    def passed(self, pass_env: tuple[str, ...]) -> dict[str, str]:
        """Return what a stage sees of the person's environment."""
        return child_env(self._environ, pass_env)

    def _base(self, policy: _Policy, pass_env: tuple[str, ...]) -> dict[str, str]:
        homes = toolchains(self._environ) if policy.toolchains else {}
        tools = self._tools if policy.recorded_tools else {}
        return {**homes, **child_env(self._environ, pass_env), **tools}
