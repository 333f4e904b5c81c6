"""The one place that makes commands: environment, secrets, limits and locks of every child.

Commands of stages, set-up, tests, checks and formatters differ only in their purpose, and one table
says what each purpose means. `CommandMaker.make` is the only maker of a `LaunchSpec`; a sandbox
would belong there.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from pipeline.core import redact
from pipeline.process.environment import child_env, toolchain_env, with_programs
from pipeline.process.spec import LaunchSpec, OnOrphan


class Purpose(StrEnum):
    """What a command is for."""

    STAGE = "stage"
    SETUP = "setup"
    TEST = "test"
    CHECK = "check"


class _Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a purpose means.

    `recorded_tools`: use the PATH of the person who started the run, not of the one who resumed it.
    `private_home`: HOME is never the person's own, even if they pass it on. `toolchains`: set the
    variables by which tools still find their toolchains then. `private_tmp`: temporary files are
    removed with the command's folder. `caches`: variables that name folders which outlive the
    command.
    """

    on_orphan: OnOrphan
    recorded_tools: bool = True
    private_home: bool = True
    toolchains: bool = True
    private_tmp: bool = True
    caches: Mapping[str, str] = {}


# Without these, the private HOME would have each command compile everything from the start.
_BUILD_CACHES = {"GOCACHE": "go", "CARGO_TARGET_DIR": "cargo"}
_POLICIES = {
    Purpose.STAGE: _Policy(
        on_orphan=OnOrphan.ADOPT, recorded_tools=False, private_home=False, toolchains=False
    ),
    Purpose.SETUP: _Policy(
        on_orphan=OnOrphan.KILL, private_home=False, toolchains=False, private_tmp=False
    ),
    Purpose.TEST: _Policy(on_orphan=OnOrphan.KILL, caches=_BUILD_CACHES),
    Purpose.CHECK: _Policy(
        on_orphan=OnOrphan.KILL, caches={**_BUILD_CACHES, "XDG_CACHE_HOME": "tools"}
    ),
}


class CommandRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One command to make.

    `cwd` is where it runs, `folder` its own folder for logs and a private HOME. `pass_env` names
    variables of the person that it may see, `variables` are set for it. Programs of set-up in the
    folders `programs` go in front of the PATH, the last first. `port_base` is the first port it may
    use (0: none). `agent` and `stage` are recorded as the holder of its `locks`.
    """

    purpose: Purpose
    argv: tuple[str, ...]
    cwd: Path
    folder: Path
    timeout_s: float
    idle_timeout_s: float = 0.0
    memory_max_bytes: int = 0
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
        secrets: Callable[[Mapping[str, str]], Iterable[str]] = redact.secrets,
    ) -> None:
        """`environ` is the person's; only the variables a request names are passed on.

        `tools` are the variables recorded with the run that decide which programs are found.
        `secrets` returns the values to remove from the output of a command with these variables.
        """
        self._environ = environ
        self._tools = dict(tools)
        self._run_id = run_id
        self._caches = caches
        self._lock_timeout_s = lock_timeout_s
        self._portable = portable
        self._secrets = secrets

    def make(self, request: CommandRequest) -> LaunchSpec:
        """Return the command ready to launch; creates its private HOME."""
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
            memory_max_bytes=request.memory_max_bytes,
            on_orphan=_POLICIES[request.purpose].on_orphan,
            locks=tuple(map(str, request.locks)),
            lock_timeout_s=self._lock_timeout_s,
            run_id=self._run_id,
            agent=request.agent,
            stage=request.stage,
            secrets=tuple(self._secrets(env)),
            portable=self._portable,
        )

    def environment(self, request: CommandRequest) -> dict[str, str]:
        """Return the complete environment of a command."""
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
        """Return the PATH of commands with a purpose, before programs of set-up are added."""
        return self._base(_POLICIES[purpose], ()).get("PATH", "")

    def passed_env(self, pass_env: tuple[str, ...]) -> dict[str, str]:
        """Return the variables of the person's environment that a stage sees."""
        return child_env(self._environ, pass_env)

    def _base(self, policy: _Policy, pass_env: tuple[str, ...]) -> dict[str, str]:
        homes = toolchain_env(self._environ) if policy.toolchains else {}
        tools = self._tools if policy.recorded_tools else {}
        return {**homes, **child_env(self._environ, pass_env), **tools}
