r"""The journal: the one truth of a run, a checksummed JSON line for every event.

A line is `CRC32 SEQ JSON\n` (8 hex digits, decimal, object). A torn last line is cut when the
journal is opened for writing; a bad line with good ones after it is damage and is refused.
"""

import os
import zlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from pipeline.core import events
from pipeline.core.events import Event
from pipeline.errors import Fault

NAME = "journal.jsonl"
_SYNC = getattr(os, "fdatasync", os.fsync)


class Journal:
    """The writing end; one process at a time has it open (the run's own lock sees to that)."""

    def __init__(self, path: Path) -> None:
        """Open for appending; cut a torn tail off. Raises `Fault` when the middle is damaged."""
        self.path = path
        self.events, good_bytes = _read(path)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(self._file, good_bytes)
        os.lseek(self._file, 0, os.SEEK_END)
        self._seq = len(self.events)
        self._size_bytes = good_bytes

    def append(self, new: Iterable[Event], *, durable: bool) -> None:
        """Write events; with `durable` they are on the disk when this returns (one sync for all).

        Raises `Fault` when the disk does not take them; the file then ends where it ended before.
        """
        data = b""
        for event in new:
            self._seq += 1
            data += _line(self._seq, events.encode(event))
        try:
            written = 0
            while written < len(data):
                written += os.write(self._file, data[written:])
            if durable:
                _SYNC(self._file)
        except OSError as exc:
            os.ftruncate(self._file, self._size_bytes)
            raise Fault(
                f"{self.path} cannot be written: {exc.strerror}",
                "What was written before is whole. Make room, then go on: pipeline resume RUN",
            ) from exc
        self._size_bytes += len(data)

    def close(self) -> None:
        """Let the file go."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read(path: Path) -> list[Event]:
    """Read all whole events of a journal; a torn last line is left out. Raises `Fault` on damage."""
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
        event = _parse(data[offset : end if end >= 0 else len(data)], len(found) + 1)
        if event is None or end < 0:
            if end >= 0 and end + 1 < len(data):
                raise Fault(
                    f"{path} is damaged at byte {offset} (event {len(found) + 1}), with more events after it",
                    f"Nothing was changed. Keep a copy, then cut the file there: truncate -s {offset} {path}",
                )
            break
        found.append(event)
        offset = end + 1
    return found, offset


def _parse(line: bytes, seq: int) -> Event | None:
    """Read one line; None when its checksum, number or content is not sound."""
    checksum, _, body = line.partition(b" ")
    number, _, payload = body.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(body) or number != b"%d" % seq:
        return None
    try:
        return events.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
