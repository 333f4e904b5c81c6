r"""The journal: the single source of truth of a run, one checksummed JSON line for each event.

A line is `CRC32 SEQ JSON\n` (8 hex digits, decimal, object). A last line without its newline was
cut off by a crash, and is removed when the journal is opened for writing. Any other invalid line is
damage, and the journal is refused.
"""

import contextlib
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import msgspec

from pipeline.core import events
from pipeline.core.events import Event
from pipeline.errors import InternalError, NoStorage
from pipeline.files import atomic

NAME = "journal.jsonl"
_SYNC = getattr(os, "fdatasync", os.fsync)


class Journal:
    """The writing end; the run's lock makes sure that only one process has it open."""

    def __init__(self, path: Path, copy: Path | None = None) -> None:
        """Open for appending; remove an incomplete last line. Raises `InternalError` on damage.

        `copy` is the journal's second name. Where that is a file of its own, because no file system
        holds both, it is brought up to date and gets every line as well, without a sync.
        """
        self.path = path
        self._copy = copy
        self.events, valid_bytes = _read(path)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(self._file, valid_bytes)
        os.lseek(self._file, 0, os.SEEK_END)
        self._seq = len(self.events)
        self._size_bytes = valid_bytes
        self._copy_out(0)

    @classmethod
    def create(cls, path: Path, first: Sequence[Event], copy: Path | None = None) -> Self:
        """Create a journal with its first events; a crash leaves all of them, or no journal."""
        lines = [_line(seq, events.encode(event)) for seq, event in enumerate(first, 1)]
        atomic.write_bytes(path, b"".join(lines))
        return cls(path, copy)

    def append(self, new: Iterable[Event], *, durable: bool) -> None:
        """Write events; with `durable` they are on the disk when this returns (one sync for all).

        Raises `NoStorage` if the disk does not accept them; the file then ends where it did.
        """
        added = list(new)
        lines = [_line(seq, events.encode(event)) for seq, event in enumerate(added, self._seq + 1)]
        data = b"".join(lines)
        try:
            written = 0
            # A full disk first writes less than it was given, and fails only the next time.
            while written < len(data):
                written += os.write(self._file, data[written:])
            if durable:
                self.sync()
        except OSError as exc:
            os.ftruncate(self._file, self._size_bytes)
            os.lseek(self._file, self._size_bytes, os.SEEK_SET)
            raise NoStorage(
                f"{self.path} cannot be written: {exc.strerror}",
                "Earlier events are intact. Make room or mend the disk, then: pipeline resume",
            ) from exc
        self._size_bytes += len(data)
        self._copy_out(self._size_bytes - len(data))
        self._seq += len(lines)
        self.events += added

    @property
    def is_shown(self) -> bool:
        """Whether the second name is still there."""
        return self._copy is None or self._copy.exists()

    def _copy_out(self, since_bytes: int) -> None:
        """Bring the second name up to date where it is a file of its own."""
        copy = self._copy
        if copy is None or not copy.exists() or copy.stat().st_ino == os.fstat(self._file).st_ino:
            return
        with contextlib.suppress(OSError), copy.open("r+b") as file:
            file.truncate(since_bytes)
            file.seek(since_bytes)
            file.write(os.pread(self._file, self._size_bytes - since_bytes, since_bytes))

    def sync(self) -> None:
        """Make everything that was appended durable; events at the same time share one call."""
        _SYNC(self._file)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read(path: Path) -> list[Event]:
    """Read all events of a journal, without an incomplete last line.

    Raises `InternalError` on damage.
    """
    return _read(path)[0]


def read_sound(path: Path) -> list[Event]:
    """Read the events before the first damage, if there is any."""
    return _read_until(path)[0]


def _line(seq: int, payload: bytes) -> bytes:
    body = b"%d %s" % (seq, payload)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _read(path: Path) -> tuple[list[Event], int]:
    """Read all events and the length of their lines. Raises `InternalError` on damage."""
    parsed, offset, damage = _read_until(path)
    if damage is not None:
        raise InternalError(
            f"{path} is damaged at byte {offset} (event {len(parsed) + 1}): {damage}",
            "Nothing was changed, and other runs are not affected. Put the file back from a "
            "backup; or save what is left of this run, and start anew: pipeline rollback RUN",
        ) from damage
    return parsed, offset


def _read_until(path: Path) -> tuple[list[Event], int, ValueError | None]:
    """Read events up to the first damage: the events, where they end, and the damage."""
    data = path.read_bytes() if path.exists() else b""
    parsed: list[Event] = []
    offset = 0
    while offset < len(data):
        end = data.find(b"\n", offset)
        if end < 0:
            break
        try:
            parsed.append(_parse(data[offset:end], len(parsed) + 1))
        except ValueError as exc:
            return parsed, offset, exc
        offset = end + 1
    return parsed, offset, None


def _parse(line: bytes, seq: int) -> Event:
    """Read one line; raises `ValueError` if its checksum, number or content is wrong."""
    checksum, _, body = line.partition(b" ")
    number, _, payload = body.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(body):
        raise ValueError("its checksum is wrong")
    if number != b"%d" % seq:
        raise ValueError(f"its number is not {seq}")
    try:
        return events.decode(payload)
    except msgspec.DecodeError as exc:
        raise ValueError(
            f"this version cannot read it; a newer one may have written it ({exc})"
        ) from exc
