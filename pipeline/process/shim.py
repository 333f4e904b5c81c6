"""The shim: one small process around each command of an attempt.

It holds the stage's locks and the attempt's own, starts the command in a session of its own, keeps
its output under a cap, ends it on time, on request or when the orchestrator is gone, kills whatever
is left, and writes a durable record. Deadlines count awake time (`files/clocks`): nothing is ended
for having slept. The socket to the orchestrator is a lifeline in both directions.
"""

import contextlib
import fcntl
import os
import selectors
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from pipeline.core import redact
from pipeline.files import atomic, locks
from pipeline.files.clocks import Clock, Deadline, awake_s
from pipeline.files.locks import LockBusy
from pipeline.process import tree
from pipeline.process.spec import (
    ABANDONED,
    ALIVE_LOCK,
    RECORD,
    STDERR,
    STDOUT,
    Ending,
    ExitRecord,
    LaunchSpec,
    OnOrphan,
)

_CHUNK_BYTES = 65536
_TICK_S = 0.05
_DRAIN_S = 1.0
_LOCK_SLICE_S = 0.2


def run(spec: LaunchSpec, lifeline: socket.socket, clock: Clock = awake_s) -> None:
    """Be the shim of one attempt; returns when everything is over and recorded.

    `clock` is that of all deadlines.
    """
    os.setsid()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    wakeup, written = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(written, False)
    signal.set_wakeup_fd(written)
    folder = Path(spec.folder)
    with _alive(folder) as wanted:
        if not wanted:
            return
        line = _Lifeline(lifeline, wakeup)
        signal.signal(signal.SIGTERM, lambda *_: line.cancel())
        record = _under_locks(spec, line, clock)
        atomic.write_bytes(folder / RECORD, msgspec.json.encode(record))


@contextlib.contextmanager
def _alive(folder: Path) -> Iterator[bool]:
    """Hold the attempt's own lock, which tells a later orchestrator that this shim lives."""
    descriptor = os.open(folder / ALIVE_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        yield not (folder / ABANDONED).exists()
    finally:
        os.close(descriptor)


class _Lifeline:
    """The socket to the orchestrator: `c` asks to cancel, its end means that nobody is there."""

    def __init__(self, sock: socket.socket, wakeup: int) -> None:
        self.sock = sock
        self.wakeup = wakeup
        self.cancelled = False
        self.orphaned = False
        sock.setblocking(False)

    def cancel(self) -> None:
        self.cancelled = True

    def look(self) -> None:
        if self.orphaned:
            return
        try:
            data = self.sock.recv(16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.cancelled = self.cancelled or b"c" in data
        self.orphaned = not data


def _under_locks(spec: LaunchSpec, line: _Lifeline, clock: Clock) -> ExitRecord:
    """Take the stage's locks, waiting in slices so that a cancel is heard, and run the command."""
    deadline = Deadline(spec.lock_timeout_s, clock)
    paths = [Path(path) for path in spec.locks]
    while True:
        left = deadline.left_s
        try:
            with locks.hold(
                paths,
                run_id=spec.run_id,
                agent=spec.agent,
                stage=spec.stage,
                timeout_s=min(_LOCK_SLICE_S, left),
            ):
                return _Command(spec, line, clock).run()
        except LockBusy as busy:
            line.look()
            if line.cancelled:
                return ExitRecord(
                    ending=Ending.CANCELLED, reason="cancelled while it waited for a lock"
                )
            if line.orphaned or left == 0.0:
                wait = msgspec.structs.replace(busy.wait, waited_s=spec.lock_timeout_s)
                return ExitRecord(ending=Ending.LOCKED, reason=wait.what, lock=wait)


class _Command:
    """One running command: its pipes, its clocks, its end."""

    def __init__(self, spec: LaunchSpec, line: _Lifeline, clock: Clock) -> None:
        self.spec = spec
        self.clock = clock
        self.line = line
        self.selector = selectors.DefaultSelector()
        self.subreaper = not spec.portable and tree.become_subreaper()
        self.dropped_bytes = 0
        self.ending = Ending.EXITED
        self.signals = 0
        self.next_signal_at = 0.0

    def run(self) -> ExitRecord:
        started = self.clock()
        try:
            process = self._start()
        except OSError as exc:
            missing = exc.filename or self.spec.argv[0]
            return ExitRecord(
                ending=Ending.NOT_FOUND, code=127, reason=f"cannot run {missing}: {exc.strerror}"
            )
        with contextlib.ExitStack() as stack:
            self._register(process, stack)
            self._pump(process, started)
            self._drain()
        swept = tree.sweep(process.pid, subreaper=self.subreaper)
        return ExitRecord(
            ending=self.ending,
            code=process.returncode,
            duration_s=round(self.clock() - started, 3),
            dropped_bytes=self.dropped_bytes,
            swept=swept,
        )

    def _start(self) -> "subprocess.Popen[bytes]":
        with contextlib.ExitStack() as stack:
            stdin = (
                stack.enter_context(Path(self.spec.stdin).open("rb"))
                if self.spec.stdin
                else subprocess.DEVNULL
            )
            return subprocess.Popen(
                self.spec.argv,
                cwd=self.spec.cwd,
                env=self.spec.env,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )

    def _register(self, process: "subprocess.Popen[bytes]", stack: contextlib.ExitStack) -> None:
        for pipe, name in ((process.stdout, STDOUT), (process.stderr, STDERR)):
            if pipe is None:
                continue
            os.set_blocking(pipe.fileno(), False)
            file = stack.enter_context((Path(self.spec.folder) / name).open("ab", 0))
            log = _Log(file, self.spec.output_cap_bytes, redact.Stream(self.spec.secrets))
            stack.callback(log.end)
            self.selector.register(pipe, selectors.EVENT_READ, log)
            stack.callback(pipe.close)
        self.selector.register(self.line.sock, selectors.EVENT_READ, None)
        self.selector.register(self.line.wakeup, selectors.EVENT_READ, None)
        pidfd = None if self.spec.portable else tree.open_pidfd(process.pid)
        self.has_pidfd = pidfd is not None
        if pidfd is not None:
            self.selector.register(pidfd, selectors.EVENT_READ, None)
            stack.callback(os.close, pidfd)
        stack.callback(self.selector.close)

    def _pump(self, process: "subprocess.Popen[bytes]", started: float) -> None:
        last_output = started
        while process.poll() is None:
            now = self.clock()
            soonest = min(started + self.spec.timeout_s, last_output + self.spec.idle_timeout_s)
            if self.signals:
                soonest = self.next_signal_at
            wait = (
                max(0.0, soonest - now) if self.has_pidfd else min(_TICK_S, max(0.0, soonest - now))
            )
            if self._read(wait):
                last_output = self.clock()
            self._check_time(process, started, last_output)

    def _check_time(
        self, process: "subprocess.Popen[bytes]", started: float, last_output: float
    ) -> None:
        now = self.clock()
        if self.signals:
            if now >= self.next_signal_at:
                self._end(process)
        elif self.line.cancelled:
            self._end(process, Ending.CANCELLED)
        elif self.line.orphaned and self.spec.on_orphan is OnOrphan.KILL:
            self._end(process, Ending.ORPHANED)
        elif now >= started + self.spec.timeout_s:
            self._end(process, Ending.TIMEOUT)
        elif now >= last_output + self.spec.idle_timeout_s:
            self._end(process, Ending.IDLE)

    def _end(self, process: "subprocess.Popen[bytes]", ending: Ending | None = None) -> None:
        """Go one step up the ladder: TERM and CONT to the group, then KILL."""
        self.ending = ending or self.ending
        if self.signals == 0:
            tree.signal_group(process.pid, signal.SIGTERM)
            tree.signal_group(process.pid, signal.SIGCONT)
        else:
            tree.signal_group(process.pid, signal.SIGKILL)
        self.signals += 1
        self.next_signal_at = self.clock() + self.spec.grace_s

    def _read(self, wait_s: float) -> bool:
        """Take in what is there, waiting at most `wait_s`; tell whether it was output."""
        output = False
        for key, _ in self.selector.select(wait_s):
            if key.fileobj is self.line.sock:
                self.line.look()
                if self.line.orphaned:
                    self.selector.unregister(self.line.sock)
            elif key.fd == self.line.wakeup:
                os.read(self.line.wakeup, 64)
            elif isinstance(key.data, _Log):
                output = self._take(key.fileobj, key.data) or output
        return output

    def _take(self, pipe: object, log: "_Log") -> bool:
        if not hasattr(pipe, "fileno"):
            return False
        try:
            data = os.read(pipe.fileno(), _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self.selector.unregister(pipe)
            return False
        self.dropped_bytes += log.write(data)
        return True

    def _drain(self) -> None:
        """Take what is left in the pipes.

        A grandchild that keeps them open is not waited for long.
        """
        deadline = Deadline(_DRAIN_S, self.clock)
        while self._has_pipes() and deadline.left_s:
            if not self._read(0.02) and self._has_pipes():
                return

    def _has_pipes(self) -> bool:
        return any(isinstance(key.data, _Log) for key in self.selector.get_map().values())


class _Log:
    """A log file without secrets, under a cap; what comes after the cap is counted and dropped."""

    def __init__(self, file: BinaryIO, cap_bytes: int, stream: redact.Stream) -> None:
        self.file = file
        self.left = cap_bytes
        self.stream = stream

    def write(self, data: bytes) -> int:
        """Write what fits; return how many bytes were dropped."""
        return self._put(self.stream.feed(data))

    def end(self) -> None:
        """Write what was held back."""
        self._put(self.stream.end())

    def _put(self, data: bytes) -> int:
        kept = data[: self.left]
        if kept:
            self.file.write(kept)
            self.left -= len(kept)
            if self.left == 0:
                self.file.write(b"\n[output beyond the cap was dropped]\n")
        return len(data) - len(kept)
