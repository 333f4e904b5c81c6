"""The one way to write a file: completely or not at all, and durably when it returns."""

import contextlib
import itertools
import os
from pathlib import Path

FILE_MODE = 0o644
_COUNT = itertools.count()
# fdatasync leaves out times alone, which cost another write; macOS does not have it.
_SYNC = getattr(os, "fdatasync", os.fsync)


def write_bytes(path: Path, data: bytes, *, mode: int = FILE_MODE, durable: bool = True) -> None:
    """Write a file by way of a temporary one beside it; create its folder if necessary.

    With `durable` the data is on the disk when this returns. Raises `OSError` and leaves the old
    file as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{next(_COUNT)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                _SYNC(file.fileno())
        # Synced before: after a power cut the new name could otherwise point to an empty file.
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write text as UTF-8; characters that cannot be encoded become `?`."""
    write_bytes(path, text.encode("utf-8", "replace"), durable=durable)


def sync_folder(folder: Path) -> None:
    """Make new and renamed entries of a folder durable; a sync of the file does not do that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some network file systems refuse fsync on folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def switch_link(link: Path, target: str) -> None:
    """Point a symbolic link at another target in one step: readers see the old or the new."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
    sync_folder(link.parent)
