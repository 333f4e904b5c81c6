"""Folders with everything in them, whatever somebody did to their modes."""

import os
import shutil
import stat
from pathlib import Path


def remove(path: Path) -> None:
    """Remove whatever is at a path, itself and not what a link points to; nothing there is fine.

    Folders that an agent made unreadable or read-only go as well. Raises OSError for what is not ours.
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
    except PermissionError:
        _unlock(path)
        shutil.rmtree(path)


def _unlock(folder: Path) -> None:
    """Let us into a folder and all those in it, from the top down."""
    folder.chmod(0o700)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _unlock(Path(entry.path))
