"""The rules for what a stage may change: its paths, and paths and kinds that nobody may write."""

import os
from collections.abc import Iterable
from pathlib import Path

from pipeline.core.violations import Violation, ViolationKind
from pipeline.language import globs
from pipeline.repo.store import TreeChange
from pipeline.repo.tree_writer import is_plain_name

PROTECTED_PATHS = (
    ".gitmodules", "**/.gitattributes", ".github/**", ".gitlab-ci.yml", ".husky/**",
    ".pre-commit-config.yaml", ".claude/**", ".mcp.json", ".codex/**", ".cursor/**", ".vscode/**",
    ".idea/**", "**/.envrc", "agents/flow.yaml", "agent_prompts/**", ".triggers/**", ".locks/**",
    "docs/status/**", "docs/plans/runs/**",
)  # fmt: skip
"""Paths that no stage may write, whatever its globs say: they run code or control the engine."""

STRAY = {
    ViolationKind.TOO_LARGE, ViolationKind.UNPRINTABLE_NAME, ViolationKind.SPECIAL_FILE,
    ViolationKind.SECRET_WRITTEN,
}  # fmt: skip
"""Rules that a new file outside a stage's paths cannot break: it is no part of the change."""


def violation_of(change: TreeChange, writes: tuple[str, ...], folder: Path) -> Violation | None:
    """Return how a change breaks the rules; None if it does not."""
    kind, detail = None, ""
    if not is_plain_name(change.path):
        kind = ViolationKind.UNPRINTABLE_NAME
    elif globs.matches_any(PROTECTED_PATHS, change.path):
        kind = ViolationKind.PROTECTED_PATH
    elif not globs.matches_any(writes, change.path):
        kind, detail = ViolationKind.OUTSIDE_ITS_PATHS, ", ".join(writes) or "it may write none"
    elif "160000" in {change.mode, change.old_mode}:
        kind = ViolationKind.SUBMODULE
    elif change.mode == "120000" and _escapes(folder, change.path):
        kind = ViolationKind.LINK_OUTSIDE
    return None if kind is None else Violation(kind=kind, path=change.path, detail=detail)


def replaced_submodules(changes: Iterable[TreeChange]) -> list[Violation]:
    """Return the submodules that files were put in the place of; nobody may commit that."""
    return [
        Violation(kind=ViolationKind.SUBMODULE, path=change.path)
        for change in changes
        if "160000" in {change.mode, change.old_mode}
    ]


def _escapes(folder: Path, path: str) -> bool:
    target = (folder / path).readlink()
    landing = Path(os.path.normpath(Path(path).parent / target))
    return target.is_absolute() or landing.parts[:1] == ("..",)
