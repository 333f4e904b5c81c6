r"""The journal: the one truth of a run, a checksummed JSON line for every event.

A line is `CRC32 SEQ JSON\n` (8 hex digits, decimal, object). A torn last line, one without its end,
is cut when the journal is opened for writing; a whole line that is not sound is damage and is
refused.
"""

import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import msgspec

from pipeline.core import events
from pipeline.core.events import Event
from pipeline.errors import InternalError
from pipeline.files import atomic

NAME = "journal.jsonl"
_SYNC = getattr(os, "fdatasync", os.fsync)


class Journal:
    """The writing end; one process at a time has it open (the run's own lock sees to that)."""

    def __init__(self, path: Path) -> None:
        """Open for appending; cut a torn tail off. Raises `InternalError` when the middle is damaged."""
        self.path = path
        self.events, good_bytes = _read(path)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(self._file, good_bytes)
        os.lseek(self._file, 0, os.SEEK_END)
        self._seq = len(self.events)
        self._size_bytes = good_bytes

    @classmethod
    def create(cls, path: Path, first: Sequence[Event]) -> Self:
        """Make a journal that holds its first events; a kill leaves all of them, or no journal."""
        lines = [_line(seq, events.encode(event)) for seq, event in enumerate(first, 1)]
        atomic.write_bytes(path, b"".join(lines))
        return cls(path)

    def append(self, new: Iterable[Event], *, durable: bool) -> None:
        """Write events; with `durable` they are on the disk when this returns (one sync for all).

        Raises `InternalError` when the disk does not take them; the file then ends where it ended before.
        """
        added = list(new)
        lines = [_line(seq, events.encode(event)) for seq, event in enumerate(added, self._seq + 1)]
        data = b"".join(lines)
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
            if durable:
                self.sync()
        except OSError as exc:
            os.ftruncate(self._file, self._size_bytes)
            os.lseek(self._file, self._size_bytes, os.SEEK_SET)
            raise InternalError(
                f"{self.path} cannot be written: {exc.strerror}",
                "What was written before is whole. Make room, then go on: pipeline resume RUN",
            ) from exc
        self._size_bytes += len(data)
        self._seq += len(lines)
        self.events += added

    def sync(self) -> None:
        """Make everything that was appended durable; events that fall together share one call."""
        _SYNC(self._file)

    def close(self) -> None:
        """Let the file go."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read(path: Path) -> list[Event]:
    """Read all whole events of a journal; a torn last line is left out.

    Raises `InternalError` on damage.
    """
    return _read(path)[0]


def _line(seq: int, payload: bytes) -> bytes:
    body = b"%d %s" % (seq, payload)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _read(path: Path) -> tuple[list[Event], int]:
    data = path.read_bytes() if path.exists() else b""
    found: list[Event] = []
    offset = 0
    while offset < len(data):
        end = data.find(b"\n", offset)
        if end < 0:
            break
        try:
            found.append(_parse(data[offset:end], len(found) + 1))
        except ValueError as exc:
            raise InternalError(
                f"{path} is damaged at byte {offset} (event {len(found) + 1}): {exc}",
                f"Nothing was changed. Keep a copy, then cut the file there: truncate -s {offset} {path}",
            ) from exc
        offset = end + 1
    return found, offset


def _parse(line: bytes, seq: int) -> Event:
    """Read one whole line.

    Raises `ValueError` when its checksum, number or content is not sound.
    """
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
            f"this version does not know it; a newer one may have written it ({exc})"
        ) from exc
