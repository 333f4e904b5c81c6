"""Copies of folders that nobody can write through: by reflink where the file system can, else byte by byte.

A copy lies elsewhere than what it was made of, and some tools write down where they are: the scripts of a virtual
environment, editable installs, pnpm's shims. In those files, and in absolute links, the old root is put right.
"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Collection
from pathlib import Path

from pipeline.errors import UsageProblem
from pipeline.language.target import Clone
from pipeline.repo.scan import Scan, scan

_FICLONE = 0x40049409
"""`ioctl_ficlone(2)`: share all blocks of another file, until one of the two is written."""

_CANNOT = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM}
_PLACED_MAX_BYTES = 1024 * 1024
_PLACED = re.compile(
    r"(.*/)?((\.?bin|Scripts)/[^/]+|[^/]+\.(pth|egg-link)|__editable__[^/]*\.py|direct_url\.json|pyvenv\.cfg)"
)
"""Files that may hold the absolute path of where they were made."""


class Cloner:
    """Copies from one root to another; remembers whether reflinks work between them."""

    def __init__(self, source: Path, target: Path, how: Clone, *, was: Path | None = None) -> None:
        """`was` is the root that stands in files, if it is not `source`."""
        self.source = source
        self.target = target
        self.how = how
        self._was = os.fspath(was or source)
        self._old = re.compile(re.escape(os.fsencode(self._was)) + rb"(?![\w.+-])")
        self._reflinks = how is not Clone.COPY

    def bring(self, tops: Collection[str], wanted: Scan, known: Scan) -> Scan:
        """Make `tops` below the target what `wanted` says of the source; `known` is what the last call returned.

        Only what differs from that is touched. Returns the scan of the copy.
        """
        now = scan(self.target, only=tops)
        if now == known and (now.files.keys(), now.folders.keys()) == (wanted.files.keys(), wanted.folders.keys()):
            return known
        self._clear(wanted, known, now)
        for path in sorted(wanted.folders):
            (self.target / path).mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in wanted.files:
            if path not in now.files or now.files[path] != known.files.get(path):
                self.copy(path)
        for path in sorted(wanted.folders, reverse=True):
            (self.target / path).chmod(stat.S_IMODE(wanted.folders[path]))
        return scan(self.target, only=tops)

    def _clear(self, wanted: Scan, known: Scan, now: Scan) -> None:
        for path in now.folders:
            (self.target / path).chmod(0o700)
        for path in (*now.files, *now.special):
            if path not in wanted.files or now.files.get(path) != known.files.get(path):
                (self.target / path).unlink()
        for path in sorted(now.folders, reverse=True):
            if path not in wanted.folders:
                (self.target / path).rmdir()

    def copy(self, path: str) -> None:
        """Copy one file or link; nothing may be in its place."""
        source, target = self.source / path, self.target / path
        target.parent.mkdir(parents=True, exist_ok=True)
        info = source.lstat()
        if stat.S_ISLNK(info.st_mode):
            target.symlink_to(self._placed_link(source.readlink()))
            return
        if info.st_size <= _PLACED_MAX_BYTES and _PLACED.fullmatch(path) and self._copy_placed(source, target, info):
            return
        if not (self._reflinks and self._reflink(source, target)):
            shutil.copyfile(source, target)
        target.chmod(stat.S_IMODE(info.st_mode))
        os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))

    def _placed_link(self, to: Path) -> Path:
        return self.target / to.relative_to(self._was) if to.is_relative_to(self._was) else to

    def _copy_placed(self, source: Path, target: Path, info: os.stat_result) -> bool:
        """Copy a small text file with the old root put right; tell whether there was anything to put right."""
        data = source.read_bytes()
        placed = self._old.sub(lambda _: os.fsencode(self.target), data)
        if placed == data or b"\0" in data:
            return False
        target.write_bytes(placed)
        target.chmod(stat.S_IMODE(info.st_mode))
        return True

    def _reflink(self, source: Path, target: Path) -> bool:
        with source.open("rb") as old, target.open("xb") as new:
            try:
                fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
            except OSError as exc:
                if exc.errno not in _CANNOT:
                    raise
                self._reflinks = False
            else:
                return True
        target.unlink()
        if self.how is Clone.REFLINK:
            raise UsageProblem(
                f"the file system of {self.target} cannot make reflinks", "Write: workspace: {clone: auto}, or: copy"
            )
        return False


def remove(path: Path) -> None:
    """Remove whatever is at a path, itself and not what a link points to; nothing there is fine."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(mode):
        shutil.rmtree(path, onerror=_unlock)
    else:
        path.unlink()


def _unlock(function: object, path: str, _info: object) -> None:
    """Make a folder writable that an agent left read-only, and try once more."""
    os.chmod(os.path.dirname(path), 0o700)  # noqa: PTH101, PTH120 - rmtree gives text
    with contextlib.suppress(OSError):
        os.chmod(path, 0o700, follow_symlinks=False)  # noqa: PTH101
    if callable(function):
        function(path)
