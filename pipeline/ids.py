"""Names made from other names: run ids, slugs, branches, lock files. All functions are pure."""

import re
import unicodedata
from datetime import datetime

from pipeline.errors import UsageProblem

RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9A-Za-z]{4,16}")
SLUG_MAX_CHARACTERS = 48
BRANCH_MAX_CHARACTERS = 244
_RUN_ID_MAX_CHARACTERS = 32
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")


def run_id(now: datetime, randomness: bytes) -> str:
    """Return `YYYYMMDD-HHMMSS-XXXXXXXX`; `now` is UTC, `randomness` at least 4 bytes."""
    return f"{now:%Y%m%d-%H%M%S}-{randomness[:4].hex()}"


def is_run_id(text: str) -> bool:
    """Return whether a text has the form of a run id."""
    return RUN_ID.fullmatch(text) is not None


def require_run_id(text: str) -> str:
    """Return `text` if it has the form of a run id; else raise `UsageProblem`."""
    if is_run_id(text):
        return text
    raise UsageProblem(
        f"{text!r} is not a run id (they look like 20260102-030405-0a1b2c3d)",
        "List all runs: pipeline list",
    )


def slug(text: str, fallback: str = "change") -> str:
    """Return lower-case ASCII words joined by `-`, cut between words if there are too many."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    name = ""
    for word in words:
        longer = f"{name}-{word}" if name else word[:SLUG_MAX_CHARACTERS]
        if len(longer) > SLUG_MAX_CHARACTERS:
            break
        name = longer
    return name or fallback


def branch_name(template: str, feature: str, run: str) -> str:
    """Return the name of a run's branch: the template with its placeholders filled in."""
    return template.replace("{feature}", slug(feature)).replace("{run_id}", run)


def why_invalid_branch(template: str) -> str:
    """Return what is wrong with a template for branch names; empty if it is valid."""
    if "{run_id}" not in template:
        return "{run_id} is missing: two runs would have the same branch"
    name = branch_name(template, "feature", "20260102-030405-0a1b2c3d")
    if "{" in name or "}" in name:
        return "only {feature} and {run_id} can be used in braces"
    if not _BRANCH.fullmatch(name) or any(part in name for part in ("..", "//", "/.", "./", "/-")):
        return "git or a forge would reject this name"
    longest = branch_name(template, "x" * SLUG_MAX_CHARACTERS, "x" * _RUN_ID_MAX_CHARACTERS)
    # A ref is a file beside its lock, and forges keep names of refs in 255 bytes.
    if len(longest) > BRANCH_MAX_CHARACTERS:
        return (
            f"with a long feature it has {len(longest)} characters, and git and forges keep at "
            f"most {BRANCH_MAX_CHARACTERS}"
        )
    # Git stores a ref as a file, and takes `.lock` for the lock of another one.
    return (
        "" if not name.endswith((".lock", ".", "/")) else "git would reject a name with this ending"
    )


def lock_file_name(resource: str, run: str | None) -> str:
    """Return the name of a lock's file in `.locks`; it contains the run's id if there is one."""
    return f"{resource}.{run}.lock" if run else f"{resource}.lock"


def stage_folder(stage: str) -> str:
    """Return the folder of a stage (`triage/sdk_analyst`), relative to the run folder."""
    return stage.replace(":", "/")


def is_same_name(one: str, other: str) -> bool:
    """Return whether two names of stages or roles mean the same: see `plain_name`."""
    return plain_name(one) == plain_name(other)


def plain_name(name: str) -> str:
    """Return a name in lower case, with `-` for `_` and without the prefix `rm-`."""
    return name.lower().replace("_", "-").removeprefix("rm-")
