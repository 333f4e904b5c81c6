"""Copies of folders that nobody can write through.

By reflink where the file system can, else byte by byte.

A copy lies elsewhere than what it was made of, and some tools write down where they are: the
scripts of a virtual environment, editable installs, pnpm's shims. In those files, and in absolute
links, the old root is put right.
"""

import errno
import fcntl
import os
import re
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
_CHUNK_BYTES = 1024 * 1024
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
        self._source, self._target = os.fspath(source), os.fspath(target)
        self._was = os.fspath(was or source)
        self._old = re.compile(re.escape(os.fsencode(self._was)) + rb"(?![\w.+-])")
        self._reflinks = how is not Clone.COPY

    def bring(self, tops: Collection[str], wanted: Scan, known: Scan) -> Scan:
        """Make `tops` below the target what `wanted` says of the source.

        `known` is what the last call returned.

        Only what differs from that is touched. Returns the scan of the copy.
        """
        now = scan(self.target, only=tops)
        if now == known and (now.files.keys(), now.folders.keys()) == (
            wanted.files.keys(),
            wanted.folders.keys(),
        ):
            return known
        self._clear(wanted, known, now)
        for top in tops:
            (self.target / top).parent.mkdir(parents=True, exist_ok=True)
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
        """Copy one file or link into a folder that is there; nothing may be in its place.

        Texts, for speed.
        """
        source, target = f"{self._source}/{path}", f"{self._target}/{path}"
        info = os.lstat(source)
        if stat.S_ISLNK(info.st_mode):
            Path(target).symlink_to(self._placed_link(Path(source).readlink()))
            return
        mode = stat.S_IMODE(info.st_mode)
        placed = (
            info.st_size <= _PLACED_MAX_BYTES
            and _PLACED.fullmatch(path)
            and self._placed(Path(source))
        )
        if placed:
            Path(target).write_bytes(placed)
            Path(target).chmod(mode)
            return
        old = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            new = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                if not self._reflink(old, new):
                    while data := os.read(old, _CHUNK_BYTES):
                        view = memoryview(data)
                        while view:
                            view = view[os.write(new, view) :]
                os.fchmod(new, mode)
                os.utime(new, ns=(info.st_atime_ns, info.st_mtime_ns))
            finally:
                os.close(new)
        finally:
            os.close(old)

    def _placed_link(self, to: Path) -> Path:
        return self.target / to.relative_to(self._was) if to.is_relative_to(self._was) else to

    def _placed(self, source: Path) -> bytes:
        """Return a text file's content with the old root put right.

        Nothing when there is nothing to put right.
        """
        data = source.read_bytes()
        placed = self._old.sub(lambda _: os.fsencode(self.target), data)
        return b"" if placed == data or b"\0" in data else placed

    def _reflink(self, old: int, new: int) -> bool:
        if not self._reflinks:
            return False
        try:
            fcntl.ioctl(new, _FICLONE, old)
        except OSError as exc:
            if exc.errno not in _CANNOT:
                raise
            self._reflinks = False
            if self.how is Clone.REFLINK:
                what = f"the file system of {self.target} cannot make reflinks"
                raise UsageProblem(what, "Write: workspace: {clone: auto}, or: copy") from exc
            return False
        return True
