"""Find every change in a work tree by a walk of our own, because git can be made to miss some.

`skip-worktree`, `info/exclude` and forged times hide changes from `git status`; a walk that
compares kind, mode, size, times of change and inode does not miss them. Links are never followed.
"""

import errno
import os
import stat
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

Fingerprint = tuple[int, int, int, int, int]
"""Mode, size in bytes, time of last write and of last change (both in ns), and inode.

`st_ctime_ns` is the one time that a program cannot set back.
"""

_SIZE = 1
_READABLE = 0o500
_POLL_INTERVAL_S = 0.001
_KIND = 0o170000
_FILES = frozenset({stat.S_IFREG, stat.S_IFLNK})


class Scan(msgspec.Struct, frozen=True):
    """What a walk found.

    `files` has the fingerprint of every file and link, `folders` the mode of every folder.
    `nested_repositories` and `special_files` (sockets, pipes, devices) may not be in a workspace;
    `too_long` are folders that no call can open.
    """

    files: dict[str, Fingerprint]
    nested_repositories: tuple[str, ...]
    special_files: tuple[str, ...]
    folders: dict[str, int] = {}
    too_long: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """The size of all files together."""
        return sum(fingerprint[_SIZE] for fingerprint in self.files.values())


EMPTY_SCAN = Scan({}, (), ())


def scan(root: Path, *, without: Collection[str] = (), only: Iterable[str] | None = None) -> Scan:
    """Walk everything below `root` but its own `.git`; paths are relative, with `/`.

    Whatever is at or below the paths of `without` is left out. With `only`, nothing but these paths
    and what is below them is visited, and a `.git` there is a folder like any other.
    """
    walk = _Walk(os.fspath(root), frozenset(without), git=only is None)
    if only is None:
        walk.below([""])
    else:
        walk.below([path + "/" for path in only if walk.is_folder(path)])
    return Scan(
        walk.files,
        tuple(sorted(walk.nested_repositories)),
        tuple(sorted(walk.special_files)),
        walk.folders,
        tuple(sorted(walk.too_long)),
    )


class _Walk:
    """A walk in progress, and what it has found so far."""

    def __init__(self, root: str, without: frozenset[str], *, git: bool) -> None:
        self.root = root
        self.without = without
        self.git = git
        self.files: dict[str, Fingerprint] = {}
        self.folders: dict[str, int] = {}
        self.nested_repositories: list[str] = []
        self.special_files: list[str] = []
        self.too_long: list[str] = []

    def below(self, waiting: list[str]) -> None:
        """Visit everything below these folders, each given with a `/` at its end."""
        # Every stage spends its time here: strings instead of `Path`, locals instead of `self`.
        files, folders, without, git = self.files, self.folders, self.without, self.git
        while waiting:
            folder = waiting.pop()
            # An agent may have made a folder unreadable. Its old mode is in `folders` already, so
            # the change is still noticed.
            if folders.get(folder[:-1], _READABLE) & _READABLE != _READABLE:
                os.chmod(f"{self.root}/{folder}", 0o700)  # noqa: PTH101 - strings, for speed
            with self._entries(folder) as entries:
                for entry in entries:
                    path = folder + entry.name
                    if path in without:
                        continue
                    if git and entry.name == ".git":
                        if folder:
                            self.nested_repositories.append(path)
                        continue
                    try:
                        info = entry.stat(follow_symlinks=False)
                    except OSError as exc:
                        self._too_long(path, exc)
                        continue
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
                        self.special_files.append(path)

    def _entries(self, folder: str) -> "AbstractContextManager[Iterator[os.DirEntry[str]]]":
        """Open a folder to be read; one whose path no call takes any more counts as empty."""
        try:
            return os.scandir(f"{self.root}/{folder}")
        except OSError as exc:
            self._too_long(folder[:-1], exc)
            return nullcontext(iter(()))

    def _too_long(self, path: str, exc: OSError) -> None:
        if exc.errno != errno.ENAMETOOLONG:
            raise exc
        self.too_long.append(path)

    def is_folder(self, path: str) -> bool:
        """Visit one path itself; return whether it is a folder, with more below it."""
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
            self.special_files.append(path)
        return kind == stat.S_IFDIR


def wait_for_clock_tick(beside: Path) -> None:
    """Wait until the file system's clock has moved, so that later changes get a later time.

    File systems count time in steps, usually of a few milliseconds: a file that is changed within
    the same step as its checkout, and keeps its size, would look untouched. Since Linux 6.13 most
    file systems give a change a time of its own once somebody has looked at the last one; there
    this returns at once. `beside` is a folder on the same file system.
    """
    with tempfile.TemporaryFile(dir=beside, buffering=0) as probe:
        probe.write(b".")
        first_ns = os.fstat(probe.fileno()).st_ctime_ns
        while True:
            probe.write(b".")
            if os.fstat(probe.fileno()).st_ctime_ns != first_ns:
                return
            time.sleep(_POLL_INTERVAL_S)  # noqa: TID251 - no event for it


def changed_paths(before: Scan, after: Scan) -> list[str]:
    """List the paths that were added, removed or touched between two walks."""
    if before.files == after.files:
        return []
    changed = [path for path, seen in after.files.items() if before.files.get(path) != seen]
    return sorted(changed + [path for path in before.files if path not in after.files])


def try_encode(value: msgspec.Struct) -> bytes | None:
    """Encode the result of a walk for the next process; None if a file name is not valid text.

    Then nothing is stored and the next process walks again: slower, and just as correct.
    """
    try:
        return msgspec.msgpack.encode(value)
    except UnicodeEncodeError:
        return None
