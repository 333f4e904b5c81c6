"""The log of a command's output: without secrets, with a cap, on a disk that may be full."""

import contextlib
import time
from collections.abc import Callable
from typing import BinaryIO

from pipeline.core import redact
from pipeline.files.clocks import Deadline

_RETRY_S = 0.05
_ROOM_S = 3600.0


class OutputLog:
    """A log file without secrets, with a size cap; output beyond it is counted and dropped."""

    def __init__(
        self,
        file: BinaryIO,
        cap_bytes: int,
        stream: redact.RedactingStream,
        may_wait: Callable[[], bool],
    ) -> None:
        """`stream` takes secrets out; `may_wait` is asked whether to wait for room on the disk."""
        self.file = file
        self.may_wait = may_wait
        self.left_bytes = cap_bytes
        self.stream = stream
        self.held = b""

    def write(self, data: bytes) -> int:
        """Write what fits; return how many bytes were dropped."""
        return self._write_within_cap(self.stream.feed(data))

    def end(self) -> None:
        """Write what was held back: a possible beginning of a secret, and what a full disk refused.

        Waits for room, a bounded time: an answer that is only here is paid for.
        """
        self._write_within_cap(self.stream.end())
        deadline = Deadline(_ROOM_S)
        while self.held and deadline.left_s and self.may_wait():
            time.sleep(_RETRY_S)  # noqa: TID251 - a disk does not say when it has room again
            self._flush()

    def _write_within_cap(self, data: bytes) -> int:
        kept = data[: self.left_bytes]
        if kept:
            self.held += kept
            self.left_bytes -= len(kept)
            if self.left_bytes == 0:
                self.held += b"\n[output beyond the cap was dropped]\n"
            self._flush()
        return len(data) - len(kept)

    def _flush(self) -> None:
        """Write what is held, as far as the disk takes it."""
        with contextlib.suppress(OSError):
            while self.held:
                self.held = self.held[self.file.write(self.held) :]
