"""Names that are made from other names: run ids, slugs, branches, lock files. All pure."""

import re
import unicodedata
from datetime import datetime

from pipeline.errors import UsageProblem

RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9A-Za-z]{4,16}")
SLUG_MAX = 48
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")


def run_id(now: datetime, randomness: bytes) -> str:
    """Make `YYYYMMDD-HHMMSS-` and 8 hex digits; `now` is UTC, `randomness` at least 4 bytes."""
    return f"{now:%Y%m%d-%H%M%S}-{randomness[:4].hex()}"


def is_run_id(text: str) -> bool:
    """Tell whether a word has the form of a run id."""
    return RUN_ID.fullmatch(text) is not None


def checked_run_id(text: str) -> str:
    """Return `text` if it has the form of a run id, else say what one looks like."""
    if is_run_id(text):
        return text
    raise UsageProblem(
        f"{text!r} is not a run id (they look like 20260102-030405-0a1b2c3d)",
        "See the runs there are: pipeline list",
    )


def slug(text: str, fallback: str = "change") -> str:
    """Lower-case ASCII words joined by `-`, at most 48 letters, cut at a word where possible."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    name = ""
    for word in words:
        longer = f"{name}-{word}" if name else word[:SLUG_MAX]
        if len(longer) > SLUG_MAX:
            break
        name = longer
    return name or fallback


def branch_name(template: str, feature: str, run: str) -> str:
    """Name the run's branch: the template with `{feature}` and `{run_id}` filled in."""
    return template.replace("{feature}", slug(feature)).replace("{run_id}", run)


def why_invalid_branch(template: str) -> str:
    """Return what is wrong with a template for branch names; empty when it is valid."""
    if "{run_id}" not in template:
        return "{run_id} is missing: two runs would have one branch"
    name = branch_name(template, "feature", "20260102-030405-0a1b2c3d")
    if "{" in name or "}" in name:
        return "only {feature} and {run_id} can be used in braces"
    if not _BRANCH.fullmatch(name) or any(part in name for part in ("..", "//", "/.", "./", "/-")):
        return "git or a forge would reject this name"
    return (
        "" if not name.endswith((".lock", ".", "/")) else "git would reject a name with this ending"
    )


def lock_file_name(resource: str, run: str | None) -> str:
    """Name a lock's file in `.locks`; a run-scoped lock carries its run's id."""
    return f"{resource}.{run}.lock" if run else f"{resource}.lock"


def stage_folder(stage: str) -> str:
    """Turn a stage's id (`triage/sdk_analyst`) into a folder below the run folder."""
    return stage.replace(":", "/")


def same_name(one: str, other: str) -> bool:
    """Compare names of stages and roles: `-` and `_` alike, a prefix `rm-` or case ignored."""
    return plain_name(one) == plain_name(other)


def plain_name(name: str) -> str:
    """Return the form in which names that count as the same are equal."""
    return name.lower().replace("_", "-").removeprefix("rm-")
