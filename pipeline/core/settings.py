"""Settings from environment variables: one struct, with every default in one place."""

import re
from collections.abc import Mapping

import msgspec

from pipeline.errors import UsageProblem

_AGE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhdw]?)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a person can set without changing the flow."""

    parallel: int | None = None
    lock_timeout_s: float = 60.0
    base_branch: str = ""
    state_dir: str = ""
    file_max_mb: float = 50.0
    retention_s: float = 7 * 86400.0
    auto_cleanup: bool = True
    portable: bool = False
    failpoint: str = ""


VARIABLES: Mapping[str, tuple[str, str]] = {
    "AGENT_PARALLEL_MAX": (
        "parallel",
        "Stages at once; overrides `limits.parallel` of the flow (default 4).",
    ),
    "AGENT_LOCK_TIMEOUT": (
        "lock_timeout_s",
        "Seconds a stage waits for a lock before it is parked (default 60).",
    ),
    "AGENT_MAX_FILE_MB": (
        "file_max_mb",
        "Megabytes that a file written by an agent may have (default 50).",
    ),
    "AGENT_RUN_RETENTION": (
        "retention_s",
        "How long runs that are over are kept: `12h`, `7d`; a number alone is days (default 7d).",
    ),
    "AGENT_AUTO_CLEANUP": (
        "auto_cleanup",
        "`false` keeps runs from removing what is older than that when they start.",
    ),
    "BASE_BRANCH": (
        "base_branch",
        "Branch that runs start from, unless `--base-branch` says otherwise.",
    ),
    "PIPELINE_STATE_DIR": (
        "state_dir",
        "Folder for stores and workspaces (default: the user's state folder).",
    ),
    "PIPELINE_PORTABLE": ("portable", "`1` does without Linux-only calls, as on other systems."),
    "PIPELINE_FAILPOINT": (
        "failpoint",
        "Name of a step at which the process kills itself; for crash tests.",
    ),
}
"""Variable -> field and its description; `docs/reference/settings.md` is made from this."""


STAGE_VARIABLES: Mapping[str, str] = {
    "PIPELINE_RUN_ID": "The run.",
    "PIPELINE_STAGE": "The stage's id.",
    "PIPELINE_MODE": "Its `mode`.",
    "PIPELINE_ATTEMPT": "Which attempt this is, from 1.",
    "PIPELINE_ROUND": "Which round of the loop around it, from 1.",
    "PIPELINE_OUTPUT_DIR": "Folder for what the stage delivers.",
    "PIPELINE_INPUT_DIR": "Folder with a copy of what earlier stages delivered, one folder each.",
    "PIPELINE_RESULT": "File for a result as JSON (see [agents](../how-to/agents.md)).",
    "PIPELINE_ATTEMPT_ID": "Run, stage and attempt in one word, for logs.",
    "PIPELINE_PORT_BASE": "First of 100 ports that no other workspace of the repository uses.",
    "PIPELINE_LIMIT_USD": "What the attempt may cost, if the flow says so.",
    "PIPELINE_LIMIT_TOKENS": "How many tokens it may use, if the flow says so.",
}
"""The variables that the engine sets for a stage; `docs/reference/flow.md` is made from this."""


def from_environ(environ: Mapping[str, str]) -> Settings:
    """Read the settings; raises `UsageProblem` with the variable and a valid example."""
    values = {field: environ[name] for name, (field, _) in VARIABLES.items() if environ.get(name)}
    parallel = _number(values, "parallel", "AGENT_PARALLEL_MAX", at_least=1)
    lock_timeout_s = _number(values, "lock_timeout_s", "AGENT_LOCK_TIMEOUT", at_least=0)
    file_max_mb = _number(values, "file_max_mb", "AGENT_MAX_FILE_MB", at_least=0)
    retention = values.get("retention_s")
    return Settings(
        parallel=None if parallel is None else int(parallel),
        lock_timeout_s=60.0 if lock_timeout_s is None else lock_timeout_s,
        base_branch=values.get("base_branch", ""),
        file_max_mb=50.0 if file_max_mb is None else file_max_mb,
        retention_s=7 * 86400.0
        if retention is None
        else retention_s(retention, "AGENT_RUN_RETENTION"),
        auto_cleanup=values.get("auto_cleanup", "true").lower() not in {"0", "false", "no", "off"},
        state_dir=values.get("state_dir", ""),
        portable=values.get("portable", "0") not in {"0", "false", "no"},
        failpoint=values.get("failpoint", ""),
    )


def retention_s(text: str, where: str) -> float:
    """Return how long runs are kept, in seconds: `12h`, `7d`; a number alone is days.

    Raises `UsageProblem` that names `where`.
    """
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise UsageProblem(
            f"{where} is {text!r}, which is not a duration like 12h or 7d",
            f"For example: {where}=7d",
        )
    return float(match[1]) * _SECONDS[match[2] or "d"]


def _number(values: Mapping[str, str], field: str, variable: str, *, at_least: int) -> float | None:
    if field not in values:
        return None
    try:
        number = float(values[field])
    except ValueError:
        number = -1.0
    if number < at_least or number > 1_000_000:
        raise UsageProblem(
            f"{variable} is {values[field]!r}, which is not a number of at least {at_least}",
            f"For example: {variable}={max(at_least, 4)}",
        )
    return number
