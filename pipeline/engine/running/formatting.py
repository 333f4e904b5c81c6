"""The repository's own formatter, applied to what a stage changed before anything looks at it.

So the first run of the project's own checks is not red for style. Only files that the stage changed
are taken back from the formatter, whatever else it touches.
"""

import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath

from pipeline.gates.bench import Bench
from pipeline.language import globs
from pipeline.language.target import Target
from pipeline.repo.store import Store

FILES = "{files}"
_TIMEOUT_S = 300.0


def formatted(
    store: Store, bench: Bench, targets: Sequence[Target], tree: str, changed: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """Return the tree with its changed files formatted, and which of them that changed.

    Where a formatter fails (on a file that does not parse, most often) it changes nothing: the
    gates say what is wrong.
    """
    if not any(target.format for target in targets):
        return tree, ()
    before, there = tree, set(store.paths(tree))
    for target in targets:
        own = (*target.source, *target.tests)
        files = [path for path in changed if path in there and globs.matches_any(own, path)]
        for command in target.format if files else ():
            tree = _apply(store, bench, target, command, tree, files)
    return tree, tuple(change.path for change in store.diff(before, tree))


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
