"""Turning what an agent left in a folder into a git tree, path by path, running nothing that it planted.

Paths go into an index of ours by plumbing alone: `git add` and `git status` on the folder would run the
filters and hooks that an agent can write there.
"""

import shutil
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.core.excerpt import excerpt
from pipeline.core.violations import Violation, ViolationKind
from pipeline.repo import filters
from pipeline.repo.filters import Filtered
from pipeline.repo.git import Git, GitError
from pipeline.repo.scan import Scan
from pipeline.repo.store import Store

EMPTY_CONFIG = "[gc]\n\tauto = 0\n[core]\n\trepositoryformatversion = 0\n\tbare = false\n"


class TreeWriter:
    """Writes trees from one folder, on top of the index that lies beside it."""

    def __init__(self, folder: Path, store: Store, git: Git, index: Path) -> None:
        """`git` has the store for git directory, `folder` for work tree and `index` for index."""
        self._folder = folder
        self._store = store
        self._git = git
        self._index = index

    def write(
        self,
        touched: Sequence[str],
        now: Scan,
        *,
        tracked: Collection[str],
        hidden: Collection[str],
    ) -> tuple[str, list[Violation]]:
        """Write a tree with the touched paths as they are now; return it with what was left out of it.

        `tracked` are the paths that were checked out, `hidden` those of the index that were not.
        """
        with self._store.private_index() as env:
            # copied with its time: git takes files younger than the index for unsure, and looks again
            shutil.copy2(self._index, env["GIT_INDEX_FILE"])
            new = [path for path in touched if path not in tracked and path not in hidden]
            ignored = self._ignored(new)
            taken = [path for path in touched if path not in ignored]
            odd = [path for path in taken if path not in tracked and not is_plain_name(path)]
            violations = [Violation(kind=ViolationKind.UNPRINTABLE_NAME, path=path) for path in odd]
            taken = [path for path in taken if path not in odd]
            filtered = self._filtered([path for path in taken if path in now.files], tracked)
            unfiltered = [path for path in taken if path not in filtered]
            huge = [path for path in unfiltered if self._is_huge(path, now)]
            violations += [self._too_large(path, now) for path in sorted(huge)]
            self._add([path for path in unfiltered if path not in huge], now, hidden, env)
            for path, how in filtered.items():
                violations += self._clean(path, how, now, env)
            return self._git("write-tree", env=env), violations

    def _add(
        self, paths: Sequence[str], now: Scan, hidden: Collection[str], env: Mapping[str, str]
    ) -> None:
        """Put files into the index as they are; take out those that are gone."""
        again = [path for path in paths if path in hidden]
        # --force-remove, not --remove: the path may lie behind a link now, and then git would not look
        gone = [path for path in paths if path not in now.files]
        there = [path for path in paths if path in now.files]
        for options, group in (
            (["--no-skip-worktree"], again),
            (["--force-remove"], gone),
            (["--add", "--replace"], there),
        ):
            if group:
                stdin = as_lines(group)
                self._git("update-index", "-z", *options, "--stdin", stdin=stdin, env=env)

    def _is_huge(self, path: str, now: Scan) -> bool:
        too_big = path in now.files and now.files[path][1] > self._store.file_max_bytes
        return too_big and not self._is_as_it_was(path, now)

    def _is_as_it_was(self, path: str, now: Scan) -> bool:
        """Return whether a file has the very bytes and mode that the stage was given."""
        raw = self._git("hash-object", "--no-filters", "--", str(self._folder / path))
        entry = self._git("ls-files", "-s", "-z", "--", f":(top,literal){path}")
        return entry.split("\t")[0].split(" ")[:2] == [_mode(path, now), raw]

    def _too_large(self, path: str, now: Scan) -> Violation:
        size_mb, limit_mb = now.files[path][1] / 1e6, self._store.file_max_bytes / 1e6
        detail = (
            f"{size_mb:.1f} MB, and a file may have {limit_mb:g} MB "
            "(AGENT_MAX_FILE_MB; or keep such files in Git LFS)"
        )
        return Violation(kind=ViolationKind.TOO_LARGE, path=path, detail=detail)

    def _filtered(self, paths: list[str], tracked: Collection[str]) -> dict[str, Filtered]:
        """Return the files whose content goes through a filter, by the attributes the stage was given."""
        if not paths or not any(path.endswith(".gitattributes") for path in tracked):
            return {}
        by_path = filters.filtered(self._git, {"GIT_INDEX_FILE": str(self._index)}, paths)
        return {
            path: how for path, how in by_path.items() if not (self._folder / path).is_symlink()
        }

    def _clean(
        self, path: str, how: Filtered, now: Scan, env: Mapping[str, str]
    ) -> list[Violation]:
        """Put one filtered file into the index as its filter stores it, if it was changed."""
        if self._is_as_it_was(path, now):
            return []
        try:
            data = (self._folder / path).read_bytes()
            config = EMPTY_CONFIG + self._store.format_section()
            blob = filters.clean(self._store.folder, config, self._store.filters(), path, data, how)
        except GitError as exc:
            detail = f"{how.filter}: {excerpt(exc.stderr)}"
            return [Violation(kind=ViolationKind.FILTER_FAILED, path=path, detail=detail)]
        stdin = f"{_mode(path, now)} {blob}\t{path}\0".encode("utf-8", "surrogateescape")
        options = ("-z", "--add", "--replace", "--index-info")
        self._git("update-index", *options, stdin=stdin, env=env)
        return []

    def _ignored(self, paths: list[str]) -> set[str]:
        if not paths:
            return set()
        options = ("-z", "--no-index", "--stdin")
        listed = self._git("check-ignore", *options, stdin=as_lines(paths), ok=(0, 1))
        return set(listed.split("\0"))


def as_lines(paths: Iterable[str]) -> bytes:
    """Write paths as git reads them with `-z`."""
    return "\0".join(paths).encode("utf-8", "surrogateescape")


def is_plain_name(path: str) -> bool:
    """Return whether a name is text that can be printed; an agent's new file must have such a one."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return path.isprintable()


def _mode(path: str, now: Scan) -> str:
    return "100755" if now.files[path][0] & stat.S_IXUSR else "100644"
