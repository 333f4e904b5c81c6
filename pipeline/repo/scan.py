"""Our own walk of a work tree, because git can be told to overlook things.

`skip-worktree`, `info/exclude` and forged times hide changes from `git status`; a walk that compares
kind, mode, size, times of change and inode does not miss them. Links are never followed.
"""

import os
import stat
from pathlib import Path

import msgspec

Print = tuple[int, int, int, int, int]


class Scan(msgspec.Struct, frozen=True):
    """What a walk found: a print of every file and link, and what must never be there."""

    files: dict[str, Print]
    nested: tuple[str, ...]
    special: tuple[str, ...]


def scan(root: Path) -> Scan:
    """Walk everything below `root` but its own `.git`; paths are relative, with `/`."""
    files: dict[str, Print] = {}
    nested: list[str] = []
    special: list[str] = []
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(root / folder) as entries:
            for entry in entries:
                path = f"{folder}{entry.name}"
                if entry.name == ".git":
                    if folder:
                        nested.append(path)
                    continue
                _look(entry, path, files, folders, special)
    return Scan(files, tuple(sorted(nested)), tuple(sorted(special)))


def _look(
    entry: "os.DirEntry[str]", path: str, files: dict[str, Print], folders: list[str], special: list[str]
) -> None:
    info = entry.stat(follow_symlinks=False)
    if stat.S_ISDIR(info.st_mode):
        folders.append(path + "/")
    elif stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
        files[path] = (info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)
    else:
        special.append(path)


def differing(before: Scan, after: Scan) -> list[str]:
    """List the paths that were added, removed or touched between two walks."""
    if before.files == after.files:
        return []
    changed = [path for path, seen in after.files.items() if before.files.get(path) != seen]
    return sorted(changed + [path for path in before.files if path not in after.files])
