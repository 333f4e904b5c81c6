"""Our own walk of a work tree, because git can be told to overlook things.

`skip-worktree`, `info/exclude` and forged times hide changes from `git status`; a walk that
compares kind, mode, size, times of change and inode does not miss them. Links are never followed.
"""

import os
import stat
import tempfile
import time
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

Print = tuple[int, int, int, int, int]
_SIZE = 1
_READABLE = 0o500
_TICK_S = 0.001
_KIND = 0o170000
_FILES = frozenset({stat.S_IFREG, stat.S_IFLNK})


class Scan(msgspec.Struct, frozen=True):
    """What a walk found.

    A print of every file and link, the modes of folders, and what must never be there.
    """

    files: dict[str, Print]
    nested: tuple[str, ...]
    special: tuple[str, ...]
    folders: dict[str, int] = {}

    @property
    def size_bytes(self) -> int:
        """Say how large all files are together."""
        return sum(found[_SIZE] for found in self.files.values())


def scan(root: Path, *, without: Collection[str] = (), only: Iterable[str] | None = None) -> Scan:
    """Walk everything below `root` but its own `.git`; paths are relative, with `/`.

    Nothing at or below the paths of `without` is looked at. With `only`, nothing else than what is
    at and below these paths is, and a `.git` there is a folder like any other.
    """
    walk = _Walk(os.fspath(root), frozenset(without), git=only is None)
    if only is None:
        walk.below([""])
    else:
        walk.below([path + "/" for path in only if walk.is_folder(path)])
    return Scan(walk.files, tuple(sorted(walk.nested)), tuple(sorted(walk.special)), walk.folders)


class _Walk:
    """One walk, and what it has found so far."""

    def __init__(self, root: str, without: frozenset[str], *, git: bool) -> None:
        self.root = root
        self.without = without
        self.git = git
        self.files: dict[str, Print] = {}
        self.folders: dict[str, int] = {}
        self.nested: list[str] = []
        self.special: list[str] = []

    def below(self, waiting: list[str]) -> None:
        """Look at everything below these folders, each with its `/` at the end.

        The hot loop of every stage.
        """
        files, folders, without, git = self.files, self.folders, self.without, self.git
        while waiting:
            folder = waiting.pop()
            if (
                folders.get(folder[:-1], _READABLE) & _READABLE != _READABLE
            ):  # an agent's doing; the mode stays seen
                os.chmod(f"{self.root}/{folder}", 0o700)  # noqa: PTH101 - texts, for speed
            with os.scandir(f"{self.root}/{folder}") as entries:
                for entry in entries:
                    path = folder + entry.name
                    if path in without:
                        continue
                    if git and entry.name == ".git":
                        if folder:
                            self.nested.append(path)
                        continue
                    info = entry.stat(follow_symlinks=False)
                    kind = info.st_mode & _KIND
                    if kind in _FILES:
                        files[path] = (
                            info.st_mode,
                            info.st_size,
                            info.st_mtime_ns,
                            info.st_ctime_ns,
                            info.st_ino,
                        )
                    elif kind == stat.S_IFDIR:
                        folders[path] = info.st_mode
                        waiting.append(path + "/")
                    else:
                        self.special.append(path)

    def is_folder(self, path: str) -> bool:
        """Look at one path itself; tell whether there is more below it."""
        try:
            info = os.lstat(f"{self.root}/{path}")
        except (FileNotFoundError, NotADirectoryError):
            return False
        kind = info.st_mode & _KIND
        if kind in _FILES:
            self.files[path] = (
                info.st_mode,
                info.st_size,
                info.st_mtime_ns,
                info.st_ctime_ns,
                info.st_ino,
            )
        elif kind == stat.S_IFDIR:
            self.folders[path] = info.st_mode
        else:
            self.special.append(path)
        return kind == stat.S_IFDIR


def settle(beside: Path) -> None:
    """Wait until a change made from now on gets another time than everything that was there when this was called.

    A file system tells times in steps, of a few milliseconds as a rule: what is changed within the step of
    its checkout, and keeps its size, would look untouched. Most newer kernels give each change that follows a
    look at the file a time of its own; there this costs nothing. `beside` is a folder of the same file system.
    """
    with tempfile.TemporaryFile(dir=beside, buffering=0) as probe:
        probe.write(b".")
        first = os.fstat(probe.fileno()).st_ctime_ns
        while True:
            probe.write(b".")
            if os.fstat(probe.fileno()).st_ctime_ns != first:
                return
            time.sleep(_TICK_S)  # noqa: TID251 - nothing signals that the clock of a file system has moved


def differing(before: Scan, after: Scan) -> list[str]:
    """List the paths that were added, removed or touched between two walks."""
    if before.files == after.files:
        return []
    changed = [path for path, seen in after.files.items() if before.files.get(path) != seen]
    return sorted(changed + [path for path in before.files if path not in after.files])


def packed(value: msgspec.Struct) -> bytes | None:
    """Write what a walk found for the next process; None when it holds a name that is no text.

    Then it is not kept, and found out anew: slower, and as right.
    """
    try:
        return msgspec.msgpack.encode(value)
    except UnicodeEncodeError:
        return None
