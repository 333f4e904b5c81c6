"""Turn what an agent left in a folder into a git tree, path by path, running nothing it planted.

Paths go into an index of our own with plumbing commands only: `git add` or `git status` on the
folder would run filters and hooks that an agent can put there.
"""

import os
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from pipeline.core.excerpt import excerpt
from pipeline.core.redact import Redactor
from pipeline.core.violations import Violation, ViolationKind
from pipeline.repo import filters
from pipeline.repo.filters import FilterAttributes
from pipeline.repo.git import Git, GitError
from pipeline.repo.scan import Scan
from pipeline.repo.store import Store

_PATH_MAX_BYTES = 4000
"""A little less than the kernel takes: tools put something behind it."""

EMPTY_CONFIG = "[gc]\n\tauto = 0\n[core]\n\trepositoryformatversion = 0\n\tbare = false\n"


class IgnoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A new file that git ignores, and the rule: its file, line and text."""

    path: str
    source: str
    line: int
    rule: str

    @property
    def is_by_repository(self) -> bool:
        """Whether a rule of the repository ignores it, and not one of ours for litter of tools."""
        return not self.source.endswith("info/exclude")

    def __str__(self) -> str:
        """Name the rule as compilers name a place."""
        return f"{self.path}: ignored by git ({self.source}:{self.line}: {self.rule})"


class TreeWriter:
    """Writes trees from one folder, starting from the index beside it."""

    def __init__(
        self, folder: Path, store: Store, git: Git, index: Path, redactor: Redactor
    ) -> None:
        """`git` uses the store as git directory, `folder` as work tree and `index` as index.

        What holds a secret that `redactor` knows never gets into the store.
        """
        self._folder = folder
        self._store = store
        self._git = git
        self._index = index
        self._redactor = redactor

    def write(
        self,
        touched: Sequence[str],
        now: Scan,
        *,
        tracked: Collection[str],
        hidden: Collection[str],
    ) -> tuple[str, list[Violation], tuple[IgnoredFile, ...]]:
        """Write a tree with the touched paths as they are now; return it and what was left out.

        That is what cannot be part of a tree, and new files that the repository's own rules ignore.
        `tracked` are the paths that were checked out, `hidden` those of the index that were not.
        """
        with self._store.private_index() as env:
            # Copied with its times: git reads a file again if it is not older than the index, so a
            # younger copy would miss a change of the same size in the second of the checkout.
            shutil.copy2(self._index, env["GIT_INDEX_FILE"])
            new = [path for path in touched if path not in tracked and path not in hidden]
            ignored = self._ignored(new)
            known = tuple(one for one in ignored.values() if one.is_by_repository)
            accepted = [path for path in touched if path not in ignored]
            violations = list(self._misnamed([one for one in new if one not in ignored], tracked))
            misnamed = {one.path for one in violations}
            accepted = [path for path in accepted if path not in misnamed]
            leaks = self._leaks([path for path in accepted if path in now.files], now)
            violations += leaks
            held = {one.path for one in leaks}
            accepted = [path for path in accepted if path not in held]
            filtered = self._filtered([path for path in accepted if path in now.files], tracked)
            unfiltered = [path for path in accepted if path not in filtered]
            huge = [path for path in unfiltered if self._is_too_large(path, now)]
            violations += [self._too_large(path, now) for path in sorted(huge)]
            self._add([path for path in unfiltered if path not in huge], now, hidden, env)
            for path, attributes in filtered.items():
                violations += self._clean(path, attributes, now, env)
            tree = self._git("write-tree", env=env)
            added = [path for path in new if path in now.files and path in set(accepted)]
            violations += self._not_in(tree, [path for path in added if path not in huge])
            return tree, violations, known

    def _misnamed(self, new: Sequence[str], tracked: Collection[str]) -> Iterator[Violation]:
        """Yield the new files whose names cannot be told, opened, or kept apart everywhere."""
        spellings = {path.casefold(): path for path in tracked} if new else {}
        for path in new:
            other = spellings.setdefault(path.casefold(), path)
            if not is_plain_name(path):
                yield Violation(kind=ViolationKind.UNPRINTABLE_NAME, path=path)
            elif len(f"{self._folder}/{path}".encode()) > _PATH_MAX_BYTES:
                yield Violation(kind=ViolationKind.PATH_TOO_LONG, path=path)
            elif other != path:
                detail = f"from {other}; macOS and Windows hold one of them"
                yield Violation(kind=ViolationKind.CASE_COLLISION, path=path, detail=detail)

    def _not_in(self, tree: str, added: Sequence[str]) -> Iterator[Violation]:
        """Yield the new files that git has left out of a tree, such as `.GIT/x` and `git~1`."""
        if not added:
            return
        wanted = "".join(f"{tree}:{path}\n" for path in added).encode("utf-8", "surrogateescape")
        answers = self._git("cat-file", "--batch-check", stdin=wanted).splitlines()
        for path, answer in zip(added, answers, strict=True):
            if answer.endswith(" missing"):
                yield Violation(kind=ViolationKind.NOT_IN_GIT, path=path)

    def _leaks(self, paths: Sequence[str], now: Scan) -> list[Violation]:
        """Find the files with a secret in them or in their name, one for each secret of each."""
        if not self._redactor:
            return []
        kind = ViolationKind.SECRET_WRITTEN
        return [
            Violation(kind=kind, path=path, detail=name)
            for path in paths
            for name in self.secrets_of(path, now)
        ]

    def secrets_of(self, path: str, now: Scan) -> list[str]:
        """Return the names of the secrets that a file holds, or has in its name."""
        file = self._folder / path
        if file.is_symlink():
            return self._redactor.found(os.fsencode(f"{path}\n{file.readlink()}"))
        is_huge = now.files[path][1] > self._store.file_max_bytes
        data = b"" if is_huge or not os.access(file, os.R_OK) else file.read_bytes()
        return sorted({*self._redactor.found(os.fsencode(path)), *self._redactor.found(data)})

    def _add(
        self, paths: Sequence[str], now: Scan, hidden: Collection[str], env: Mapping[str, str]
    ) -> None:
        """Put files into the index as they are; remove those that are gone."""
        # An entry with the skip-worktree bit would be left as it is.
        unhidden = [path for path in paths if path in hidden]
        # --force-remove, not --remove: if an agent put a link in place of a folder above the path,
        # --remove finds a file behind the link and keeps the entry.
        gone = [path for path in paths if path not in now.files]
        present = [path for path in paths if path in now.files]
        for options, group in (
            (["--no-skip-worktree"], unhidden),
            (["--force-remove"], gone),
            (["--add", "--replace"], present),
        ):
            if group:
                stdin = nul_separated(group)
                self._git("update-index", "-z", *options, "--stdin", stdin=stdin, env=env)

    def _is_too_large(self, path: str, now: Scan) -> bool:
        too_big = path in now.files and now.files[path][1] > self._store.file_max_bytes
        return too_big and not self._is_unchanged(path, now)

    def _is_unchanged(self, path: str, now: Scan) -> bool:
        """Return whether a file has the same bytes and mode as when the stage began."""
        raw = self._git("hash-object", "--no-filters", "--", str(self._folder / path))
        entry = self._git("ls-files", "-s", "-z", "--", f":(top,literal){path}")
        return entry.split("\t")[0].split(" ")[:2] == [_mode(path, now), raw]

    def _too_large(self, path: str, now: Scan) -> Violation:
        size_mb, limit_mb = now.files[path][1] / 1e6, self._store.file_max_bytes / 1e6
        detail = (
            f"{size_mb:.1f} MB, and the limit for a file is {limit_mb:g} MB; "
            "raise AGENT_MAX_FILE_MB, or keep such files in Git LFS"
        )
        return Violation(kind=ViolationKind.TOO_LARGE, path=path, detail=detail)

    def _filtered(self, paths: list[str], tracked: Collection[str]) -> dict[str, FilterAttributes]:
        """Return the files that have a filter in the tree that the stage began with."""
        if not paths or not any(path.endswith(".gitattributes") for path in tracked):
            return {}
        by_path = filters.filter_attributes(self._git, {"GIT_INDEX_FILE": str(self._index)}, paths)
        return {
            path: attributes
            for path, attributes in by_path.items()
            if not (self._folder / path).is_symlink()
        }

    def _clean(
        self, path: str, attributes: FilterAttributes, now: Scan, env: Mapping[str, str]
    ) -> list[Violation]:
        """Put a filtered file into the index as its filter cleans it, if it was changed."""
        if self._is_unchanged(path, now):
            return []
        try:
            data = (self._folder / path).read_bytes()
            config = EMPTY_CONFIG + self._store.format_section()
            settings = self._store.filters()
            blob = filters.clean(self._store.folder, config, settings, path, data, attributes)
        except GitError as exc:
            detail = f"{attributes.filter}: {excerpt(exc.stderr)}"
            return [Violation(kind=ViolationKind.FILTER_FAILED, path=path, detail=detail)]
        stdin = f"{_mode(path, now)} {blob}\t{path}\0".encode("utf-8", "surrogateescape")
        options = ("-z", "--add", "--replace", "--index-info")
        self._git("update-index", *options, stdin=stdin, env=env)
        return []

    def _ignored(self, paths: list[str]) -> dict[str, IgnoredFile]:
        if not paths:
            return {}
        # --no-index: without it tracked paths never count as ignored.
        options = ("-z", "-v", "--no-index", "--stdin")
        listed = self._git("check-ignore", *options, stdin=nul_separated(paths), ok=(0, 1))
        fields = listed.split("\0")
        found = (
            IgnoredFile(path=path, source=source, line=int(line or 0), rule=rule)
            for source, line, rule, path in zip(
                fields[0::4], fields[1::4], fields[2::4], fields[3::4], strict=False
            )
        )
        return {one.path: one for one in found if not one.rule.startswith("!")}


def nul_separated(paths: Iterable[str]) -> bytes:
    """Join paths the way git reads them with `-z`."""
    return "\0".join(paths).encode("utf-8", "surrogateescape")


def is_plain_name(path: str) -> bool:
    """Return whether a path is printable text, which every new file of an agent must have."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return path.isprintable()


def _mode(path: str, now: Scan) -> str:
    return "100755" if now.files[path][0] & stat.S_IXUSR else "100644"
