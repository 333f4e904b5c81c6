"""Copy folders so that a write to the copy never reaches the original.

Reflinks are used where the file system supports them; otherwise bytes are copied. Hard links would
be cheaper, but a write through one would change the original.

Some tools write their own absolute path into files: the scripts of a virtual environment, editable
installs, pnpm's shims. In such files, and in absolute links, the old root is replaced by the new.
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

_UNSUPPORTED_ERRNOS = {
    errno.EOPNOTSUPP,
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOTTY,
    errno.ENOSYS,
    errno.EPERM,
}
"""How file systems say that they cannot reflink: they do not agree on one error."""

_RELOCATE_MAX_BYTES = 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
_HOLDS_OWN_PATH = re.compile(
    r"(.*/)?((\.?bin|Scripts)/[^/]+|[^/]+\.(pth|egg-link)|__editable__[^/]*\.py|direct_url\.json|pyvenv\.cfg)"
)
"""Files that may contain the absolute path of the folder they were made in."""


class Cloner:
    """Copies from one root to another; remembers whether reflinks work between them."""

    def __init__(
        self, source: Path, target: Path, method: Clone, *, old_root: Path | None = None
    ) -> None:
        """`old_root` is the root that files mention, if it is not `source`."""
        self.source = source
        self.target = target
        self.method = method
        self._source, self._target = os.fspath(source), os.fspath(target)
        self._old_root = os.fspath(old_root or source)
        # What follows must end the path: /srv/app is not a part of /srv/app-2.
        self._old_root_pattern = re.compile(
            re.escape(os.fsencode(self._old_root)) + rb"(?![\w.+-])"
        )
        self._reflinks = method is not Clone.COPY

    def sync(self, top_paths: Collection[str], wanted: Scan, known: Scan) -> Scan:
        """Make `top_paths` below the target match `wanted`, a scan of the source.

        `known` is the scan that the last call returned; only what differs from it is written.
        Returns the scan of the copy.
        """
        now = scan(self.target, only=top_paths)
        if now == known and (now.files.keys(), now.folders.keys()) == (
            wanted.files.keys(),
            wanted.folders.keys(),
        ):
            return known
        self._remove_outdated(wanted, known, now)
        for top in top_paths:
            (self.target / top).parent.mkdir(parents=True, exist_ok=True)
        for path in sorted(wanted.folders):
            # Writable until its files are in it; the real mode follows at the end.
            (self.target / path).mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in wanted.files:
            if path not in now.files or now.files[path] != known.files.get(path):
                self.copy(path)
        for path in sorted(wanted.folders, reverse=True):
            (self.target / path).chmod(stat.S_IMODE(wanted.folders[path]))
        return scan(self.target, only=top_paths)

    def _remove_outdated(self, wanted: Scan, known: Scan, now: Scan) -> None:
        for path in now.folders:
            (self.target / path).chmod(0o700)
        for path in (*now.files, *now.special_files):
            if path not in wanted.files or now.files.get(path) != known.files.get(path):
                (self.target / path).unlink()
        for path in sorted(now.folders, reverse=True):
            if path not in wanted.folders:
                (self.target / path).rmdir()

    def copy(self, path: str) -> None:
        """Copy one file or link into an existing folder; nothing may be in its place."""
        # Strings, not `Path` objects: this runs once for every file of a dependency tree.
        source, target = f"{self._source}/{path}", f"{self._target}/{path}"
        info = os.lstat(source)
        if stat.S_ISLNK(info.st_mode):
            Path(target).symlink_to(self._relocated_link(Path(source).readlink()))
            return
        mode = stat.S_IMODE(info.st_mode)
        relocated = (
            info.st_size <= _RELOCATE_MAX_BYTES
            and _HOLDS_OWN_PATH.fullmatch(path)
            and self._relocated(Path(source))
        )
        if relocated:
            Path(target).write_bytes(relocated)
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

    def _relocated_link(self, to: Path) -> Path:
        return (
            self.target / to.relative_to(self._old_root)
            if to.is_relative_to(self._old_root)
            else to
        )

    def _relocated(self, source: Path) -> bytes:
        """Return a text file's content with the new root in it; empty if it needs no change."""
        data = source.read_bytes()
        relocated = self._old_root_pattern.sub(lambda _: os.fsencode(self.target), data)
        return b"" if relocated == data or b"\0" in data else relocated

    def _reflink(self, old: int, new: int) -> bool:
        if not self._reflinks:
            return False
        try:
            fcntl.ioctl(new, _FICLONE, old)
        except OSError as exc:
            if exc.errno not in _UNSUPPORTED_ERRNOS:
                raise
            self._reflinks = False
            if self.method is Clone.REFLINK:
                what = f"the file system of {self.target} cannot make reflinks"
                raise UsageProblem(
                    what, "Set workspace: {clone: auto} or {clone: copy} in the flow"
                ) from exc
            return False
        return True
