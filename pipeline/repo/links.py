"""What a workspace is lent besides its tree.

Copies of what set-up made, and of files that a person named.

The copies are the workspace's own: whatever is written to them is put right before the next stage.
They count as set-up: the walk that looks for changes leaves their paths out, so they never get into
a commit.
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
from pipeline.repo.scan import Print, Scan, scan

INCLUDE = ".worktreeinclude"
"""A file of gitignore patterns in a person's checkout.

Which ignored files workspaces get a copy of.
"""

_NOTHING = Scan({}, (), ())
_READ_MAX_BYTES = 1024 * 1024


class SetUp(msgspec.Struct, frozen=True, kw_only=True):
    """What set-up has made of one tree.

    `products` lie below `root`, and `files` are their prints.
    """

    digest: str
    root: str
    products: tuple[str, ...]
    files: Scan
    clone: Clone = Clone.AUTO


class Linked(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace has now.

    The set-up, the paths it took of it, and how their copies looked.
    """

    setup: str = ""
    tops: tuple[str, ...] = ()
    files: Scan = _NOTHING
    included: dict[str, tuple[Print, Print]] = {}


class IncludedFiles:
    """The files that a checkout's `.worktreeinclude` names: ignored, not tracked, no links."""

    def __init__(self, git: Git, root: Path, linked: Sequence[str] = ()) -> None:
        """Look once; later changes of the list are for the next run.

        `linked` come another way, and are as secret.
        """
        self.root = root
        self.paths: tuple[str, ...] = ()
        self._linked = tuple(path for path in linked if (root / path).is_file())
        if (root / INCLUDE).is_file():
            named = git(
                "ls-files", "-z", "--others", "--ignored", f"--exclude-from={root / INCLUDE}"
            )
            ignored = git(
                "check-ignore",
                "-z",
                "--stdin",
                stdin=named.encode("utf-8", "surrogateescape"),
                ok=(0, 1),
            )
            whole = (root / path for path in ignored.split("\0") if path)
            self.paths = tuple(
                str(path.relative_to(root))
                for path in whole
                if path.is_file() and not path.is_symlink()
            )
        self._at_first = self._assigned()
        self._blobs = {how: self._named(how) for how in ("sha1", "sha256")}

    @property
    def watched(self) -> tuple[str, ...]:
        """Name all files whose content must not get into a commit."""
        return (*self.paths, *self._linked)

    def copies(self, blobs: Mapping[str, str]) -> list[str]:
        """Name the paths of a tree (path -> blob) that are byte for byte one of these files."""
        how = "sha256" if any(len(blob) == 64 for blob in blobs.values()) else "sha1"
        known = (self._blobs[how] | self._named(how)) - {
            ""
        }  # an agent may have what the file was when the run began
        return sorted(path for path, blob in blobs.items() if blob in known)

    def secrets(self) -> dict[str, str]:
        """Return the secret values that these files assign, or did when the run began, with their names."""
        now = redact.secrets(self._assigned())
        return {**redact.secrets(self._at_first), **now}

    def _named(self, how: str) -> set[str]:
        return {_blob(self.root / path, how) for path in self.watched}

    def _assigned(self) -> dict[str, str]:
        assigned: dict[str, str] = {}
        for path in self.watched:
            for line in _text(self.root / path).splitlines():
                name, sign, value = line.strip().removeprefix("export ").partition("=")
                if sign:
                    assigned[name.strip()] = value.strip().strip("\"'")
        return assigned


class Linker:
    """Brings the copies of one workspace, and puts them right."""

    def __init__(self, folder: Path, included: IncludedFiles | None) -> None:
        """Nothing is lent yet; `lent` may be set to what an earlier process left."""
        self.folder = folder
        self.linked = Linked()
        self._included = included
        self.reads: tuple[str, ...] | None = None

    @property
    def tops(self) -> set[str]:
        """Name the paths that are no part of the tree, with all that is below them."""
        return {*self.linked.tops, *self.linked.included}

    def is_stale(self, needed: SetUp | None) -> bool:
        """Tell whether there is anything to bring or to put right."""
        if self.linked.setup != (needed.digest if needed is not None else ""):
            return True
        if self.linked.tops and scan(self.folder, only=self.linked.tops) != self.linked.files:
            return True
        return self._wanted() != self.linked.included.keys() or any(
            self._prints(path) != seen for path, seen in self.linked.included.items()
        )

    def _wanted(self) -> set[str]:
        paths = self._included.paths if self._included is not None else ()
        return {path for path in paths if self.reads is None or globs.matches_any(self.reads, path)}

    def drop(self, needed: SetUp | None) -> bool:
        """Take away what is not wanted any more; tell whether there was anything."""
        other = self.linked.setup != (needed.digest if needed is not None else "")
        tops = self.linked.tops if other else ()
        unwanted = self.linked.included.keys() - self._wanted()
        self._take_away({*tops, *unwanted})
        if other:
            self.linked = msgspec.structs.replace(self.linked, setup="")
        return bool(tops or unwanted)

    def refit(self, tree: Scan) -> None:
        """Take away what has no place any more: the folder it belongs into is not in the tree."""
        folders = parents(tree.files)
        self._take_away({top for top in self.linked.tops if not _fits(top, tree.files, folders)})

    def _take_away(self, gone: Collection[str]) -> None:
        for top in gone:
            above = [self.folder / up for up in sorted(parents([top]))]
            if any(
                up.is_symlink() for up in above
            ):  # an agent's doing: what lies behind it is not ours
                continue
            for up in above:
                if up.is_dir():
                    up.chmod(up.stat().st_mode | 0o700)
            remove(self.folder / top)
        if gone:
            tops = tuple(top for top in self.linked.tops if top not in gone)
            included = {
                path: seen for path, seen in self.linked.included.items() if path not in gone
            }
            self.linked = Linked(
                setup=self.linked.setup,
                tops=tops,
                files=_below(self.linked.files, tops),
                included=included,
            )

    def forget(self) -> None:
        """Say that nothing of what was lent is there any more."""
        self.linked = Linked()

    def give_back(self, tracked: Collection[str]) -> bool:
        """Take away what lies where the tree has paths of its own.

        Tell whether there was anything.
        """
        mine = {top for top in self.tops for path in tracked if path and _meet(top, path)}
        self._take_away(mine)
        return bool(mine)

    def link(self, needed: SetUp | None, tree: Scan) -> None:
        """Bring everything; `tree` is what the folder holds of its tree.

        A path of the tree goes before one of ours.
        """
        folders = parents(tree.files)
        if needed is None:
            self.linked = Linked(included=self._include(tree))
            return
        tops = tuple(top for top in needed.products if _fits(top, tree.files, folders))
        known = self.linked.files if self.linked.setup == needed.digest else _NOTHING
        cloner = Cloner(Path(needed.root), self.folder, needed.clone)
        files = cloner.bring(tops, _below(needed.files, tops), known)
        self.linked = Linked(
            setup=needed.digest, tops=tops, files=files, included=self._include(tree)
        )

    def _include(self, tree: Scan) -> dict[str, tuple[Print, Print]]:
        done: dict[str, tuple[Print, Print]] = {}
        if self._included is None:
            return done
        folders = parents(tree.files)
        cloner = Cloner(self._included.root, self.folder, Clone.AUTO)
        for path in sorted(self._wanted()):
            if (
                path in tree.files
                or path in folders
                or any(up in tree.files for up in parents([path]))
            ):
                continue
            if (seen := self._prints(path)) is None or seen != self.linked.included.get(path):
                remove(self.folder / path)
                (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
                cloner.copy(path)
                seen = self._prints(path)
            if seen is not None:
                done[path] = seen
        return done

    def _prints(self, path: str) -> tuple[Print, Print] | None:
        root = self._included.root if self._included is not None else self.folder
        ours, theirs = (scan(place, only=[path]).files.get(path) for place in (self.folder, root))
        return (theirs, ours) if ours is not None and theirs is not None else None


def parents(paths: Iterable[str]) -> set[str]:
    """Return all folders that lie above these paths."""
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def _fits(top: str, files: Mapping[str, Print], folders: Collection[str]) -> bool:
    above = top.rpartition("/")[0]
    return top not in files and top not in folders and (not above or above in folders)


def _meet(one: str, other: str) -> bool:
    a, b = PurePosixPath(one), PurePosixPath(other)
    return a.is_relative_to(b) or b.is_relative_to(a)


def _below(found: Scan, tops: Iterable[str]) -> Scan:
    """Return what of a scan lies at or below some paths."""
    starts = tuple(tops)
    below = tuple(f"{top}/" for top in starts)
    return Scan(
        {
            path: seen
            for path, seen in found.files.items()
            if path in starts or path.startswith(below)
        },
        (),
        tuple(path for path in found.special if path in starts or path.startswith(below)),
        {
            path: mode
            for path, mode in found.folders.items()
            if path in starts or path.startswith(below)
        },
    )


def _blob(path: Path, how: str) -> str:
    """Return the name git gives to a file's content, or an empty text for one that is gone or empty."""
    try:
        data = path.read_bytes()
    except OSError:
        return ""
    return (
        hashlib.new(how, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        if data
        else ""
    )


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[:_READ_MAX_BYTES].decode("utf-8", "replace")
    except OSError:
        return ""
