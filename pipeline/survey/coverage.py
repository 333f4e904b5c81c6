"""Which code no target covers: taken into the target whose tests exercise it, or named.

Tests at the root of a workspace often exercise packages that have none of their own, in whatever
tool the workspace is declared (npm, pnpm, yarn, turbo, nx, lerna, uv, go.work, Cargo).
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import msgspec

from pipeline.language import globs
from pipeline.survey.checkout_files import NOT_TARGETS, CheckoutFiles, Fact, FoundTarget, within

_ENDINGS = {
    "Python": {".py", ".pyx"},
    "JavaScript": {".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".vue", ".svelte"},
    "Go": {".go"},
    "Rust": {".rs"},
}
_NOT_CODE = NOT_TARGETS | {
    "agents", "scripts", "tools", "ci", "dist", "build", "e2e", "migrations", "node_modules",
}  # fmt: skip
_SOURCE_FOLDERS = ("src", "lib", "app")
_NAMED_MAX = 8
_DOCUMENTS = (
    "docs/**", "doc/**", "documentation/**", "examples/**", "README*", "CHANGELOG*", "CHANGES*",
    "HISTORY*", "NEWS*", "UPGRADING*", "MIGRATION*", "changelog.d/**", "changes/**", "news/**",
    "newsfragments/**", ".changeset/**", "releasenotes/**",
)  # fmt: skip


def with_left_out(
    repo: CheckoutFiles, targets: Sequence[FoundTarget]
) -> tuple[list[FoundTarget], list[Fact]]:
    """Give code that no target covers to the root's target of its language; name the rest."""
    done, facts = list(targets), []
    for family, endings in _ENDINGS.items():
        folders = sorted(_uncovered(repo, targets, endings))
        if not folders or not any(target.family == family for target in targets):
            continue
        root = next(
            (one for one in done if one.family == family and not one.folder and one.is_tested), None
        )
        if root is None:
            shown = ", ".join(folders[:_NAMED_MAX]) + (", ..." if len(folders) > _NAMED_MAX else "")
            why = f"no target's source or tests has this {family}"
            facts.append(Fact(what="left out", value=shown, why=why))
            continue
        more = tuple(f"{folder}/**" for folder in folders)
        done[done.index(root)] = msgspec.structs.replace(root, source=(*more, *root.source))
    return done, facts


def documents(repo: CheckoutFiles, target: FoundTarget) -> tuple[str, ...]:
    """Return the patterns of the documents that tell of a target: its own, and the root's."""
    return tuple(
        glob
        for folder in dict.fromkeys((target.folder, ""))
        for glob in (within(folder, name) for name in _DOCUMENTS)
        if next(repo.matched([glob]), "")
    )


def _uncovered(
    repo: CheckoutFiles, targets: Sequence[FoundTarget], endings: set[str]
) -> Iterator[str]:
    """Yield the folders with code that no target covers, as far up as a package reaches."""
    patterns = [glob for one in targets for glob in (*one.source, *one.tests, *one.exclude)]
    found: set[str] = set()
    for name in sorted(repo.files):
        path = PurePosixPath(name)
        parts = path.parts[:-1]
        if not parts or path.suffix not in endings or not _NOT_CODE.isdisjoint(parts):
            continue
        if any(part.startswith(".") for part in parts) or globs.matches_any(patterns, name):
            continue
        folder = _package(parts)
        if folder not in found and globs.why_invalid(folder) is None:
            found.add(folder)
            yield folder


def _package(parts: tuple[str, ...]) -> str:
    """Return the source folder of a package: `packages/a/src` for `packages/a/src/x/y`."""
    for number, part in enumerate(parts):
        if part in _SOURCE_FOLDERS:
            return "/".join(parts[: number + 1])
    return "/".join(parts[:2])
