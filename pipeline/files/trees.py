"""List and remove folders with everything in them, whatever their modes and depth."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

_DEPTH_MAX = 10
"""The depth up to which folders are removed where they are.

`shutil.rmtree` of Python 3.11 recurses once for each level, and a path can become too long.
"""


def files_below(folder: Path) -> list[str]:
    """List all files below a folder: relative paths with `/`, sorted.

    Only regular files; links are neither listed nor followed. A folder that is missing, or a link
    itself, has none.
    """
    if folder.is_symlink():
        return []
    files, waiting = [], [""]
    while waiting:
        at = waiting.pop()
        # A folder may have been removed since, be unreadable, or have too long a path.
        with suppress(OSError), os.scandir(folder / at) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{at}{entry.name}/")
                elif entry.is_file(follow_symlinks=False):
                    files.append(f"{at}{entry.name}")
    return sorted(files)


def remove(path: Path) -> None:
    """Remove whatever is at a path, if anything; of a link only the link itself.

    That includes folders that an agent made unreadable or read-only. Raises `OSError` for what
    belongs to another user.
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
    """Make a folder and all folders in it accessible, and move up those that are too deep."""
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
