"""The repository's own formatter, applied to what a stage changed before anything looks at it.

So the first run of the project's own checks is not red for style. Only files that the stage changed
are taken back from the formatter, whatever else it touches; of a file that was not formatted before
the stage, only the lines that the stage changed.
"""

import shlex
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import PurePosixPath

import msgspec

from pipeline.gates.bench import Bench
from pipeline.language import globs
from pipeline.language.target import Target
from pipeline.repo.store import Store

FILES = "{files}"
_TIMEOUT_S = 300.0


class Formatting(msgspec.Struct, frozen=True, kw_only=True):
    """A stage's tree after formatting, and the files that this changed.

    `partly` are files that were not formatted before the stage: they are formatted only where the
    stage changed them, or not at all where that cannot be told apart.
    """

    tree: str
    files: tuple[str, ...] = ()
    partly: tuple[str, ...] = ()


def formatted(
    store: Store,
    bench: Bench,
    targets: Sequence[Target],
    *,
    since: str,
    tree: str,
    changed: Sequence[str],
) -> Formatting:
    """Return the tree with the files formatted that a stage changed since another tree.

    Where a formatter fails (on a file that does not parse, most often) it changes nothing: the
    gates say what is wrong.
    """
    if not any(target.format for target in targets):
        return Formatting(tree=tree)
    there = set(store.paths(tree))
    whole = _formatted_whole(store, bench, targets, tree, [one for one in changed if one in there])
    touched = [change.path for change in store.diff(tree, whole)]
    old = set(touched) & set(store.paths(since)) if touched else set[str]()
    clean = _formatted_whole(store, bench, targets, since, sorted(old)) if old else since
    partly = tuple(change.path for change in store.diff(since, clean)) if old else ()
    if not partly:
        return Formatting(tree=whole, files=tuple(touched))
    mixed = _only_changed_lines(store, since, tree, whole, partly)
    # A part of a formatter's changes may be no program any more. It is one, and the same one, if
    # the formatter makes of it what it makes of the whole.
    again = _formatted_whole(store, bench, targets, mixed, partly)
    unsure = {change.path for change in store.diff(whole, again)} & set(partly)
    mixed = store.graft_paths(mixed, tree, unsure)
    files = tuple(change.path for change in store.diff(tree, mixed))
    return Formatting(tree=mixed, files=files, partly=partly)


def _formatted_whole(
    store: Store, bench: Bench, targets: Sequence[Target], tree: str, paths: Sequence[str]
) -> str:
    """Return the tree with these files as the formatters of their targets want them."""
    for target in targets:
        own = (*target.source, *target.tests)
        files = [path for path in paths if globs.matches_any(own, path)]
        for command in target.format if files else ():
            tree = _apply(store, bench, target, command, tree, files)
    return tree


def _only_changed_lines(
    store: Store, since: str, tree: str, whole: str, paths: Sequence[str]
) -> str:
    """Return the formatted tree with the files formatted only in lines that the stage changed."""
    mixed = whole
    for path in paths:
        before, now, styled = (
            (store.read(one, path) or b"").splitlines(keepends=True) for one in (since, tree, whole)
        )
        mixed = store.with_file(mixed, path, b"".join(_mix(before, now, styled)))
    return mixed


def _mix(before: list[bytes], now: list[bytes], styled: list[bytes]) -> list[bytes]:
    """Take from `styled` what lies at lines that differ between `before` and `now`."""
    spots = [
        (at, end)
        for tag, _, _, at, end in SequenceMatcher(None, before, now, autojunk=False).get_opcodes()
        if tag != "equal"
    ]
    lines: list[bytes] = []
    for at, end, to, to_end in _parts(now, styled):
        is_ours = any(_meet(at, end, *spot) for spot in spots)
        lines += styled[to:to_end] if is_ours else now[at:end]
    return lines


def _parts(now: list[bytes], styled: list[bytes]) -> Iterator[tuple[int, int, int, int]]:
    """Yield ranges of lines that belong together, the smallest that can be told."""
    for _, at, end, to, to_end in SequenceMatcher(None, now, styled, autojunk=False).get_opcodes():
        if end - at == to_end - to:
            yield from ((at + one, at + one + 1, to + one, to + one + 1) for one in range(end - at))
        else:
            yield at, end, to, to_end


def _meet(at: int, end: int, other: int, other_end: int) -> bool:
    """Return whether two ranges of lines share one; an empty range lies between two lines."""
    if at == end or other == other_end:
        return at <= other_end and other <= end
    return at < other_end and other < end


def _apply(
    store: Store, bench: Bench, target: Target, command: str, tree: str, files: list[str]
) -> str:
    """Run one formatter on all files; where it fails, on those of each ending by themselves.

    Some are not its own.
    """
    local = [path.removeprefix(f"{target.folder}/") if target.folder else path for path in files]
    done = bench.execute(tree, command.replace(FILES, shlex.join(local)), target, _TIMEOUT_S)
    if done.code == 0 and not done.problem:
        return store.graft_paths(tree, done.tree, set(files))
    endings = sorted({PurePosixPath(path).suffix for path in files})
    if len(endings) > 1 and FILES in command and not done.could_not_run:
        for ending in endings:
            alike = [path for path in files if PurePosixPath(path).suffix == ending]
            tree = _apply(store, bench, target, command, tree, alike)
    return tree
