"""What a workspace contains besides its tree: results of set-up, and files that a person named.

Both are copies that belong to the workspace alone: whatever a stage writes to them is reverted
before the next stage. The walk that looks for changes leaves their paths out, so they never get
into a commit.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from pipeline.core import redact
from pipeline.files.trees import remove
from pipeline.language import globs
from pipeline.language.target import Clone
from pipeline.repo.clone import Cloner
from pipeline.repo.git import Git
from pipeline.repo.scan import EMPTY_SCAN, Fingerprint, Scan, scan

INCLUDE_FILE = ".worktreeinclude"
"""A file in a person's checkout: gitignore patterns of the ignored files to copy to workspaces."""

_READ_MAX_BYTES = 1024 * 1024


class SetUp(msgspec.Struct, frozen=True, kw_only=True):
    """What set-up has made for one tree.

    `products` are paths below `root`; `files` is a scan of them.
    """

    digest: str
    root: str
    products: tuple[str, ...]
    files: Scan
    clone: Clone = Clone.AUTO


class Linked(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace holds besides its tree.

    `setup` is the digest of the set-up, `top_paths` are the products that were copied from it, and
    `files` is a scan of the copies. `included` has two fingerprints for each file of
    `.worktreeinclude`: the person's own file, and the copy.
    """

    setup: str = ""
    top_paths: tuple[str, ...] = ()
    files: Scan = EMPTY_SCAN
    included: dict[str, tuple[Fingerprint, Fingerprint]] = {}


class IncludedFiles:
    """The files that a checkout's `.worktreeinclude` names: ignored, not tracked, no links."""

    def __init__(self, git: Git, root: Path, linked: Sequence[str] = ()) -> None:
        """Read the list once; later changes to it are for the next run.

        `linked` are paths of `workspace.link`: they are copied elsewhere, and just as private.
        """
        self.root = root
        self.paths: tuple[str, ...] = ()
        self._linked = tuple(path for path in linked if (root / path).is_file())
        if (root / INCLUDE_FILE).is_file():
            # These patterns alone do not say that git ignores a file; `check-ignore` does.
            named = git(
                "ls-files", "-z", "--others", "--ignored", f"--exclude-from={root / INCLUDE_FILE}"
            )
            ignored = git(
                "check-ignore",
                "-z",
                "--stdin",
                stdin=named.encode("utf-8", "surrogateescape"),
                ok=(0, 1),
            )
            files = (root / path for path in ignored.split("\0") if path)
            self.paths = tuple(
                str(path.relative_to(root))
                for path in files
                if path.is_file() and not path.is_symlink()
            )
        self._initial_assignments = self._assignments()
        self._initial_blob_ids = {name: self._blob_ids(name) for name in ("sha1", "sha256")}

    @property
    def private_paths(self) -> tuple[str, ...]:
        """All files whose content must not get into a commit."""
        return (*self.paths, *self._linked)

    def find_copies(self, blobs: Mapping[str, str]) -> list[str]:
        """Return the paths of a tree (path -> blob) that are byte for byte one of these files."""
        hash_name = "sha256" if any(len(blob) == 64 for blob in blobs.values()) else "sha1"
        # The file may have changed since: an agent has what it held when the run began.
        known = (self._initial_blob_ids[hash_name] | self._blob_ids(hash_name)) - {""}
        return sorted(path for path, blob in blobs.items() if blob in known)

    def secrets(self) -> dict[str, str]:
        """Return the secret values that these files assign, now or when the run began, by value."""
        now = redact.secrets(self._assignments())
        return {**redact.secrets(self._initial_assignments), **now}

    def _blob_ids(self, hash_name: str) -> set[str]:
        return {_blob_id(self.root / path, hash_name) for path in self.private_paths}

    def _assignments(self) -> dict[str, str]:
        assigned: dict[str, str] = {}
        for path in self.private_paths:
            for line in _read_text(self.root / path).splitlines():
                name, sign, value = line.strip().removeprefix("export ").partition("=")
                if sign:
                    assigned[name.strip()] = value.strip().strip("\"'")
        return assigned


class Linker:
    """Makes the copies of one workspace, and reverts what was changed in them."""

    def __init__(self, folder: Path, included: IncludedFiles | None) -> None:
        """Nothing is linked yet; `linked` may be set to what an earlier process recorded.

        `reads` are the globs of files that the next stage may see; None allows all.
        """
        self.folder = folder
        self.linked = Linked()
        self._included = included
        self.reads: tuple[str, ...] | None = None

    @property
    def top_paths(self) -> set[str]:
        """The paths that are not part of the tree, with everything below them."""
        return {*self.linked.top_paths, *self.linked.included}

    def is_stale(self, needed: SetUp | None) -> bool:
        """Return whether anything has to be copied or reverted."""
        if self.linked.setup != (needed.digest if needed is not None else ""):
            return True
        if (
            self.linked.top_paths
            and scan(self.folder, only=self.linked.top_paths) != self.linked.files
        ):
            return True
        return self._included_paths() != self.linked.included.keys() or any(
            self._fingerprints(path) != seen for path, seen in self.linked.included.items()
        )

    def _included_paths(self) -> set[str]:
        paths = self._included.paths if self._included is not None else ()
        return {path for path in paths if self.reads is None or globs.matches_any(self.reads, path)}

    def remove_unneeded(self, needed: SetUp | None) -> bool:
        """Remove copies that are no longer needed; return whether there were any."""
        is_other = self.linked.setup != (needed.digest if needed is not None else "")
        top_paths = self.linked.top_paths if is_other else ()
        unwanted = self.linked.included.keys() - self._included_paths()
        self._remove({*top_paths, *unwanted})
        if is_other:
            self.linked = msgspec.structs.replace(self.linked, setup="")
        return bool(top_paths or unwanted)

    def remove_orphaned(self, tree: Scan) -> None:
        """Remove copies whose parent folder is not in the tree."""
        folders = folders_above(tree.files)
        self._remove(
            {top for top in self.linked.top_paths if not _has_place(top, tree.files, folders)}
        )

    def _remove(self, gone: Collection[str]) -> None:
        for top in gone:
            above = [self.folder / up for up in sorted(folders_above([top]))]
            # An agent may have put a link in place of a folder; what is behind it is not ours.
            if any(up.is_symlink() for up in above):
                continue
            for up in above:
                if up.is_dir():
                    up.chmod(up.stat().st_mode | 0o700)
            remove(self.folder / top)
        if gone:
            top_paths = tuple(top for top in self.linked.top_paths if top not in gone)
            included = {
                path: seen for path, seen in self.linked.included.items() if path not in gone
            }
            self.linked = Linked(
                setup=self.linked.setup,
                top_paths=top_paths,
                files=_part_of(self.linked.files, top_paths),
                included=included,
            )

    def reset(self) -> None:
        """Record that no copy is left in the workspace."""
        self.linked = Linked()

    def remove_tracked(self, tracked: Collection[str]) -> bool:
        """Remove copies at paths that the tree tracks itself; return whether there were any."""
        blocking_failures = {
            top for top in self.top_paths for path in tracked if path and _overlap(top, path)
        }
        self._remove(blocking_failures)
        return bool(blocking_failures)

    def link(self, needed: SetUp | None, tree: Scan) -> None:
        """Make all copies; `tree` is a scan of the tree's own files.

        Where a path of the tree and a copy would collide, the tree's is kept.
        """
        folders = folders_above(tree.files)
        if needed is None:
            self.linked = Linked(included=self._copy_included(tree))
            return
        top_paths = tuple(top for top in needed.products if _has_place(top, tree.files, folders))
        known = self.linked.files if self.linked.setup == needed.digest else EMPTY_SCAN
        cloner = Cloner(Path(needed.root), self.folder, needed.clone)
        files = cloner.sync(top_paths, _part_of(needed.files, top_paths), known)
        self.linked = Linked(
            setup=needed.digest,
            top_paths=top_paths,
            files=files,
            included=self._copy_included(tree),
        )

    def _copy_included(self, tree: Scan) -> dict[str, tuple[Fingerprint, Fingerprint]]:
        included: dict[str, tuple[Fingerprint, Fingerprint]] = {}
        if self._included is None:
            return included
        folders = folders_above(tree.files)
        cloner = Cloner(self._included.root, self.folder, Clone.AUTO)
        for path in sorted(self._included_paths()):
            if (
                path in tree.files
                or path in folders
                or any(up in tree.files for up in folders_above([path]))
            ):
                continue
            if (seen := self._fingerprints(path)) is None or seen != self.linked.included.get(path):
                remove(self.folder / path)
                (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
                cloner.copy(path)
                seen = self._fingerprints(path)
            if seen is not None:
                included[path] = seen
        return included

    def _fingerprints(self, path: str) -> tuple[Fingerprint, Fingerprint] | None:
        root = self._included.root if self._included is not None else self.folder
        ours, theirs = (scan(place, only=[path]).files.get(path) for place in (self.folder, root))
        return (theirs, ours) if ours is not None and theirs is not None else None


def folders_above(paths: Iterable[str]) -> set[str]:
    """Return all folders above these paths."""
    folders: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders


def _has_place(top: str, files: Mapping[str, Fingerprint], folders: Collection[str]) -> bool:
    above = top.rpartition("/")[0]
    return top not in files and top not in folders and (not above or above in folders)


def _overlap(one: str, other: str) -> bool:
    a, b = PurePosixPath(one), PurePosixPath(other)
    return a.is_relative_to(b) or b.is_relative_to(a)


def _part_of(whole: Scan, top_paths: Iterable[str]) -> Scan:
    """Return the part of a scan that lies at or below some paths."""
    exact = frozenset(top_paths)
    below = tuple(f"{top}/" for top in exact)

    def is_inside(path: str) -> bool:
        return path in exact or path.startswith(below)

    return Scan(
        {path: seen for path, seen in whole.files.items() if is_inside(path)},
        (),
        tuple(filter(is_inside, whole.special_files)),
        {path: mode for path, mode in whole.folders.items() if is_inside(path)},
    )


def _blob_id(path: Path, hash_name: str) -> str:
    """Return the id git gives to a file's content; empty if the file is missing or empty."""
    try:
        data = path.read_bytes()
    except OSError:
        return ""
    return (
        hashlib.new(hash_name, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        if data
        else ""
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes()[:_READ_MAX_BYTES].decode("utf-8", "replace")
    except OSError:
        return ""
