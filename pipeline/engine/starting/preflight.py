"""What would fail later, said first: before a run exists, and before an agent is paid.

Each check is an answer with its hint. `pipeline doctor` shows all of them; a run refuses to start
on the first kind of failure, with all that failed, and notes the rest together with what earlier
runs of the same workflow have cost.
"""

import platform
import shutil
import statistics
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from pipeline.core.excerpt import excerpt
from pipeline.core.outcomes import RunEnd
from pipeline.engine.ground import flows
from pipeline.engine.ground.lookup import load_state, run_ids
from pipeline.engine.ground.world import World
from pipeline.errors import NoCredentials, Problem, UsageProblem
from pipeline.language.plan import Kind, Plan
from pipeline.process.environment import child_env
from pipeline.repo.git import GitError
from pipeline.repo.user import Base

GIT_LEAST = (2, 38)
DISK_LEAST_BYTES = 512 * 1024 * 1024
_RUNS_LOOKED_AT = 10
_DENIED = (
    "Authentication failed",
    "could not read Username",
    "Permission denied",
    "terminal prompts disabled",
    "403",
)
_PROGRAMS = {"command": "", "claude-code": "claude"}
"""Back ends that start a program, with the one that they start if the flow names none."""

_SIGNED_IN: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "claude": (
        (
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CODE_USE_BEDROCK",
            "CLAUDE_CODE_USE_VERTEX",
        ),
        (".claude/.credentials.json",),
        "Sign in: claude (then /login), or set ANTHROPIC_API_KEY",
    ),
    "codex": (
        ("OPENAI_API_KEY", "CODEX_API_KEY"),
        (".codex/auth.json",),
        "Sign in: codex login",
    ),
}
"""How a known agent is signed in.

Variables, files below HOME (one of them will do), and the hint.
"""


class CheckStatus(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: what was looked at, how it came out, and what to type when it is not well."""

    name: str
    status: CheckStatus
    text: str
    hint: str = ""
    exit_code: int = 2


def require(world: World, plan: Plan, base: Base, *, agents: bool, publish: bool) -> list[str]:
    """Make sure that a run of a plan can be seen through; return what is doubtful.

    Raises `Problem` with everything that fails.
    """
    checks = list(quick(world, plan, base, agents=agents, publish=publish))
    if failed := [check for check in checks if check.status is CheckStatus.FAIL]:
        raise refusal(failed)
    return [f"{check.name}: {check.text}" for check in checks if check.status is CheckStatus.WARN]


def refusal(failed: Sequence[Check]) -> Problem:
    """Put everything that failed into one error."""
    kind = (
        NoCredentials
        if all(check.exit_code == NoCredentials.exit_code for check in failed)
        else UsageProblem
    )
    text = "; ".join(f"{check.name}: {check.text}" for check in failed)
    return kind(text, "\n".join(check.hint for check in failed if check.hint))


def quick(
    world: World, plan: Plan, base: Base, *, agents: bool = True, publish: bool = True
) -> Iterator[Check]:
    """Go through the checks that take no test run."""
    yield _system()
    yield _git(world)
    if agents:
        yield from _agents(world, plan)
    if publish and any(node.kind is Kind.PUBLISH for node in plan.nodes.values()):
        yield _push(world, base)
    yield _disk(world)


def _system() -> Check:
    """Say what the operating system cannot do for runs."""
    name = platform.system()
    if name == "Linux":
        is_wsl = "microsoft" in platform.release().lower()
        return Check(
            name="system", status=CheckStatus.OK, text="Linux (WSL)" if is_wsl else "Linux"
        )
    if name == "Darwin":
        text = (
            "macOS: processes that leave their group are found by their mark alone, and files are "
            "copied where the file system cannot share them"
        )
        return Check(name="system", status=CheckStatus.OK, text=text)
    return Check(
        name="system",
        status=CheckStatus.FAIL,
        text=f"{name} has none of the process groups and locks that runs stand on",
        hint="On Windows work inside WSL: wsl --install; then clone there",
    )


def _git(world: World) -> Check:
    words = world.user.git("version").split()
    version = words[2] if len(words) > 2 else "?"
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < GIT_LEAST:
        least = ".".join(map(str, GIT_LEAST))
        return Check(
            name="git",
            status=CheckStatus.FAIL,
            text=f"version {version}",
            hint=f"Install git {least} or newer",
        )
    return Check(name="git", status=CheckStatus.OK, text=f"version {version}")


def _agents(world: World, plan: Plan) -> Iterator[Check]:
    """Check that every agent's command can be found, and that known ones seem signed in."""
    roles: dict[tuple[str, ...], list[str]] = {}
    for node in plan.leaves():
        player = node.player
        if player is not None and player.backend in _PROGRAMS:
            program = (player.command or (_PROGRAMS[player.backend],))[0]
            roles.setdefault((program, *player.pass_env), []).append(player.role)
    for (name, *passed), whose in roles.items():
        role = min(whose)
        if not name:
            yield Check(
                name="agent",
                status=CheckStatus.FAIL,
                text=f"no agent: the role {role} has no command line",
                hint=(
                    f"Say in {flows.FLOW} who plays it, for example: defaults: "
                    f"{{command: [claude, -p]}}"
                ),
            )
        elif shutil.which(name, path=world.environ.get("PATH", "")) is None:
            yield Check(
                name="agent",
                status=CheckStatus.FAIL,
                text=f"the agent {name!r} of the role {role} is not on the PATH",
                hint=f"Install it, or name another in {flows.FLOW}: defaults: {{command: [...]}}; "
                "or try: pipeline demo",
            )
        else:
            yield _signed_in(world, name, tuple(passed))


def _signed_in(world: World, name: str, passed: tuple[str, ...]) -> Check:
    """Look for a known agent's sign-in where it keeps it.

    For any other it is only said that it is there.
    """
    variables, files, hint = _SIGNED_IN.get(Path(name).name, ((), (), ""))
    seen = child_env(world.environ, passed)
    home = Path(seen["HOME"]) if "HOME" in seen else None
    is_signed_in = any(seen.get(variable) for variable in variables)
    is_signed_in = is_signed_in or (
        home is not None and any((home / file).is_file() for file in files)
    )
    if variables and not is_signed_in:
        return Check(
            name="agent",
            status=CheckStatus.WARN,
            text=f"{name} is there; whether it is signed in is not known",
            hint=hint,
        )
    return Check(
        name="agent",
        status=CheckStatus.OK,
        text=f"{name} is there" + (", signed in" if variables else ""),
    )


def _push(world: World, base: Base) -> Check:
    """Ask the remote, without doing it, whether a branch may be pushed.

    Local pull requests need no more.
    """
    remote = world.user.remote()
    if not remote:
        text = "no remote: branch and pull request stay on this machine"
        return Check(name="push", status=CheckStatus.OK, text=text)
    probe = f"{base.commit}:refs/heads/feature/probe-{world.randomness(4).hex()}"
    try:
        world.user.git("push", "--dry-run", "--no-verify", "--quiet", remote, probe)
    except GitError as exc:
        denied = any(word in exc.stderr for word in _DENIED)
        return Check(
            name="push",
            status=CheckStatus.FAIL,
            text=f"{remote} would not take a branch: {excerpt(exc.stderr)}",
            hint=(
                f"Try it: git push --dry-run {remote} HEAD:refs/heads/feature/probe; or keep "
                "all here: --no-pr"
            ),
            exit_code=4 if denied else 2,
        )
    return Check(name="push", status=CheckStatus.OK, text=f"{remote} takes branches")


def _disk(world: World) -> Check:
    world.repo_state.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(world.repo_state).free
    text = f"{free_bytes / 1e9:.1f} GB free in {world.repo_state}"
    if free_bytes < DISK_LEAST_BYTES:
        hint = "Make room: pipeline clean; or move the state: PIPELINE_STATE_DIR=..."
        return Check(name="disk", status=CheckStatus.FAIL, text=text, hint=hint)
    return Check(name="disk", status=CheckStatus.OK, text=text)


def price(world: World, plan: Plan) -> str:
    """Estimate what a run of this workflow takes, from the last ones that were done."""
    costs: list[float] = []
    minutes: list[float] = []
    for name in run_ids(world)[:_RUNS_LOOKED_AT]:
        try:
            state = load_state(world, name)
        except Problem:  # it cannot be read, and tells nothing of the price
            continue
        if state.end is not RunEnd.DONE or state.started.workflow != plan.workflow:
            continue
        minutes.append(state.time.total_s / 60)
        costs += [state.cost_usd] if state.cost_usd is not None else []
    limit = (
        f"; at most {plan.usd:g} USD" if plan.usd is not None else "; no limit is set (limits: usd)"
    )
    if not minutes:
        return f"no earlier run of {plan.workflow} to tell from{limit}"
    cost = f"about {statistics.median(costs):.2f} USD and " if costs else ""
    unknown = "" if costs else ", the cost is not known"
    return (
        f"{cost}{statistics.median(minutes):.1f} min, going by {len(minutes)} earlier "
        f"run(s){unknown}{limit}"
    )
