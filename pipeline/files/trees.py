"""Folders with everything in them, whatever somebody did to their modes."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

_DEPTH_MAX = 10
"""How deep folders are removed as they lie.

Python 3.11 goes into them by recursion, and a path can be too long.
"""


def files_below(folder: Path) -> list[str]:
    """List the files of a folder and those in it, relative, with `/`, sorted.

    Links and what is no file are left out.

    A folder that is a link itself, or is not there, has none.
    """
    if folder.is_symlink():
        return []
    found, waiting = [], [""]
    while waiting:
        at = waiting.pop()
        with (
            suppress(OSError),
            os.scandir(folder / at) as entries,
        ):  # gone meanwhile, closed to us, too deep for a path
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{at}{entry.name}/")
                elif entry.is_file(follow_symlinks=False):
                    found.append(f"{at}{entry.name}")
    return sorted(found)


def remove(path: Path) -> None:
    """Remove whatever is at a path, itself and not what a link points to; nothing there is fine.

    Folders that an agent made unreadable or read-only go as well. Raises OSError for what is not
    ours.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if not stat.S_ISDIR(mode):
        path.unlink()
        return
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError):
        _flatten(path)
        shutil.rmtree(path)


def _flatten(folder: Path) -> None:
    """Let us into a folder and all those in it, and bring up what lies deeper than can be removed."""
    waiting, moved = [(folder, 0)], 0
    while waiting:
        at, depth = waiting.pop()
        at.chmod(0o700)
        if depth > _DEPTH_MAX:
            at, depth, moved = at.rename(folder / f".moved.{moved}"), 1, moved + 1
        with os.scandir(at) as entries:
            waiting += [
                (Path(entry.path), depth + 1)
                for entry in entries
                if entry.is_dir(follow_symlinks=False)
            ]
