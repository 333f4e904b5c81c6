"""Start commands under shims, wait for them, cancel them, adopt those of a dead orchestrator."""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

import msgspec

from pipeline.errors import Busy, InternalError, NoStorage
from pipeline.files.clocks import Deadline
from pipeline.process import tree
from pipeline.process.spec import (
    ABANDONED_FILE,
    ALIVE_LOCK_FILE,
    FULL,
    HEADER_BYTES,
    RECORD_FILE,
    SESSION_FILE,
    ExitRecord,
    LaunchSpec,
)

_ADOPT_POLL_S = 0.05
_LOOK_S = 60.0
"""Deadlines stand still while the machine sleeps; a wait in the kernel may not."""

_SLACK_S = 20.0
"""How much longer than its deadlines a shim may take before it counts as stopped."""

_WOKEN_FILE = "woken"
_HOME = str(Path(__file__).parents[2])
_IMPORT_THIS_PACKAGE = (
    f"import sys; sys.path.insert(0, {_HOME!r}); import pipeline; del sys.path[0]"
)
"""A nursery is isolated (`-I`), and must not take another pipeline that happens to be installed."""


class Attempt:
    """A command under its shim."""

    def __init__(self, spec: LaunchSpec, lifeline: socket.socket) -> None:
        """Only `Launcher.launch` makes one."""
        self.folder = Path(spec.folder)
        self._cwd = spec.cwd
        self._longest_s = longest_s(spec.timeout_s, spec.lock_timeout_s)
        self._lifeline = lifeline

    def wait(self) -> ExitRecord | None:
        """Block until the shim has ended; return its record, or None if it died without one.

        After None nothing of the command is alive. Raises `Busy` for what cannot be ended, and
        `NoStorage` while the shim waits for room on the disk.
        """
        deadline = Deadline(self._longest_s)
        with self._lifeline:
            while True:
                self._lifeline.settimeout(min(_LOOK_S, max(_ADOPT_POLL_S, deadline.left_s)))
                try:
                    # The end of the stream is the end of the shim, also of one that was killed,
                    # and no pid is needed that might be reused.
                    if not (data := self._lifeline.recv(64)):
                        break
                    if FULL in data:
                        raise NoStorage(
                            f"{self.folder} cannot be written: No space left on device",
                            "What the command printed is kept in memory for an hour. Make room, "
                            "then: pipeline resume",
                        )
                except TimeoutError:
                    if not deadline.left_s:
                        _wake_or_kill(self.folder)
                        deadline = Deadline(_SLACK_S)
                except OSError:
                    break
            if (record := read_record(self.folder)) is None:
                _end_left(self.folder, self._cwd)
            return record

    def cancel(self) -> None:
        """Ask the shim to end its command; `wait` returns once every process of it has ended.

        May be called twice.
        """
        with contextlib.suppress(OSError):
            self._lifeline.send(b"c")
        _signal_shim(self.folder, signal.SIGCONT)  # one that was stopped would not hear it


class Launcher:
    """Owns the nursery process; use it in a `with` block. Safe to use from several threads."""

    def __init__(self, log: Path) -> None:
        """Start the nursery; its stderr goes to `log`."""
        ours, theirs = socket.socketpair()
        start = f"from pipeline.process.nursery import main; main({theirs.fileno()})"
        code = f"{_IMPORT_THIS_PACKAGE}; {start}"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=(theirs.fileno(),),
            )
        self._control = ours
        self._mutex = threading.Lock()
        self._log = log

    def __enter__(self) -> Self:
        """Return the launcher itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the nursery; shims that still run go on."""
        self._control.close()
        self._process.wait()

    def launch(self, spec: LaunchSpec) -> Attempt:
        """Start one command under a shim. Raises `InternalError` if the nursery has died."""
        folder = Path(spec.folder)
        folder.mkdir(parents=True, exist_ok=True)
        ours, theirs = socket.socketpair()
        data = msgspec.json.encode(spec)
        # Header and body must not be interleaved with those of another thread.
        with theirs, self._mutex:
            try:
                socket.send_fds(
                    self._control, [len(data).to_bytes(HEADER_BYTES)], [theirs.fileno()]
                )
                self._control.sendall(data)
            except OSError as exc:
                ours.close()
                raise InternalError(
                    f"the process that starts stages has died ({exc})", f"See {self._log}"
                ) from exc
        return Attempt(spec, ours)


def read_record(folder: Path) -> ExitRecord | None:
    """Read how an attempt ended; None if there is no complete record."""
    try:
        return msgspec.json.decode((folder / RECORD_FILE).read_bytes(), type=ExitRecord)
    except (OSError, msgspec.DecodeError):
        return None


def longest_s(timeout_s: float, lock_timeout_s: float) -> float:
    """Return how long a shim may take that ends its command itself when the time is up."""
    return timeout_s + lock_timeout_s + _SLACK_S


def _wake_or_kill(folder: Path) -> None:
    """Let a shim go on that was stopped; one that is still there the next time is killed."""
    woken = folder / _WOKEN_FILE
    number = signal.SIGKILL if woken.exists() else signal.SIGCONT
    woken.touch()
    _signal_shim(folder, number)


def _end_left(folder: Path, cwd: str) -> None:
    """End what is left of a command whose shim died. Raises `Busy` with what cannot be ended."""
    try:
        session = (folder / SESSION_FILE).read_text()
    except OSError:
        session = ""
    if left := tree.end_left(folder, session, cwd):
        raise Busy(
            f"what was left of {folder} cannot be ended: {', '.join(left)}",
            f"End it yourself: kill -9 {' '.join(one.split()[0] for one in left)}",
        )


def wait_for_orphan(
    folder: Path, stop: threading.Event, *, cwd: str = "", longest_s: float = 0.0
) -> ExitRecord | None:
    """Wait for a shim that an earlier orchestrator started; None if it died without a record.

    After None the shim can no longer start anything, even if it had only not got that far yet, and
    nothing of its command is alive; `cwd` is where that works. Setting `stop` ends the wait and
    returns None too; the shim goes on then. Raises `Busy` for what cannot be ended.
    """
    if not folder.is_dir():
        return None
    deadline = Deadline(longest_s)
    descriptor = os.open(folder / ALIVE_LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _try_lock(descriptor):
            if stop.wait(_ADOPT_POLL_S):
                return None
            if longest_s and not deadline.left_s:
                _wake_or_kill(folder)
                deadline = Deadline(_SLACK_S)
        record = read_record(folder)
        if record is None:
            # A shim may exist that has not taken its lock yet. It looks for this file once it has,
            # and then starts nothing.
            (folder / ABANDONED_FILE).touch()
            _end_left(folder, cwd)
        return record
    finally:
        os.close(descriptor)


def is_alive(folder: Path) -> bool:
    """Return whether the shim of an attempt is running."""
    if not (folder / ALIVE_LOCK_FILE).exists():
        return False
    descriptor = os.open(folder / ALIVE_LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def end_orphan(folder: Path) -> None:
    """End a shim that an earlier orchestrator started, if there is one, and wait for its end."""
    while is_alive(folder):
        ask_orphan_to_end(folder)
        time.sleep(_ADOPT_POLL_S)  # noqa: TID251 - the lock of a process that is not our child
    wait_for_orphan(folder, threading.Event())


def ask_orphan_to_end(folder: Path) -> None:
    """Ask a shim that an earlier orchestrator started to end; does not wait, may be repeated."""
    _signal_shim(folder, signal.SIGTERM)
    _signal_shim(folder, signal.SIGCONT)


def _signal_shim(folder: Path, number: int) -> None:
    if is_alive(folder):
        with contextlib.suppress(ValueError, ProcessLookupError, OSError):
            # The lock was held a moment ago, so the pid in it is the shim's and not a reused one.
            os.kill(int((folder / ALIVE_LOCK_FILE).read_text()), number)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
