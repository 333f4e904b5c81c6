"""Folders with everything in them, whatever somebody did to their modes."""

import os
import shutil
import stat
from pathlib import Path


def files_below(folder: Path) -> list[str]:
    """List the files of a folder and those in it, relative, with `/`, sorted; links and what is no file are left out.

    A folder that is a link itself, or is not there, has none.
    """
    if folder.is_symlink():
        return []
    root = os.fspath(folder)
    return sorted(
        f"{at}/{name}"[len(root) + 1 :] for at, _, names in os.walk(root) for name in names if _is_file(f"{at}/{name}")
    )


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:  # gone since the folder was listed
        return False


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
