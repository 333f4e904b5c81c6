"""The shim: one small process around each command of an attempt.

It holds the locks of the stage and of the attempt, starts the command in a session of its own, caps
its output, and ends it when its time is up, on request, or when the orchestrator has died. Then it
kills whatever is left and writes a durable record. Deadlines count awake time (`files/clocks`):
nothing is ended because the machine slept. The socket to the orchestrator is a lifeline in both
directions.
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

import msgspec

from pipeline.core import redact
from pipeline.files import atomic, locks
from pipeline.files.clocks import Clock, Deadline, awake_s
from pipeline.files.locks import LockBusy
from pipeline.process import tree
from pipeline.process.output_log import OutputLog
from pipeline.process.spec import (
    ABANDONED_FILE,
    ALIVE_LOCK_FILE,
    FULL,
    RECORD_FILE,
    SESSION_FILE,
    STDERR,
    STDOUT,
    CommandEnding,
    ExitRecord,
    LaunchSpec,
    OnOrphan,
)

_CHUNK_BYTES = 65536
_TICK_S = 0.05
_MEMORY_TICK_S = 0.25
_LONGEST_WAIT_S = 3600.0
"""The kernel takes the time of a wait as milliseconds in 31 bits."""

_DRAIN_S = 1.0
_RECORD_BYTES = 16_384
_LOCK_SLICE_S = 0.2


def run(spec: LaunchSpec, lifeline: socket.socket, clock: Clock = awake_s) -> None:
    """Be the shim of one attempt; returns once its command has ended and is recorded.

    All deadlines are measured with `clock`.
    """
    os.setsid()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # The nursery ignores SIGCHLD, and that is inherited: the kernel would reap the command, and its
    # exit status would be lost.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # A signal alone does not end a wait in `select` (PEP 475 restarts it); a byte in a pipe does.
    wakeup, wakeup_write = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(wakeup_write, False)
    signal.set_wakeup_fd(wakeup_write)
    folder = Path(spec.folder)
    with _alive(folder) as is_expected:
        if not is_expected:
            return
        line = _Lifeline(lifeline, wakeup)
        signal.signal(signal.SIGTERM, lambda *_: line.cancel())
        reserved = _reserve(folder)
        record = _under_locks(spec, line, clock)
        _write_record(folder, reserved, record)


def _reserve(folder: Path) -> Path:
    """Take the room for the record before anything is paid for. Raises `OSError` without it."""
    path = folder / f".{RECORD_FILE}.reserved"
    atomic.write_bytes(path, b" " * _RECORD_BYTES, durable=False)
    return path


def _write_record(folder: Path, reserved: Path, record: ExitRecord) -> None:
    """Write the record into the room that was reserved, and give it its name."""
    data = msgspec.json.encode(record)
    if len(data) > _RECORD_BYTES:
        reason = record.reason[: _RECORD_BYTES // 8]
        data = msgspec.json.encode(msgspec.structs.replace(record, reason=reason, lock=None))
    with reserved.open("r+b", 0) as file:
        file.write(data.ljust(_RECORD_BYTES))
        os.fsync(file.fileno())
    reserved.replace(folder / RECORD_FILE)
    atomic.sync_folder(folder)


@contextlib.contextmanager
def _alive(folder: Path) -> Iterator[bool]:
    """Hold the attempt's lock, which shows a later orchestrator that this shim is running.

    Yields whether the attempt is still expected to run.
    """
    descriptor = os.open(folder / ALIVE_LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        yield not (folder / ABANDONED_FILE).exists()
    finally:
        os.close(descriptor)


class _Lifeline:
    """The socket to the orchestrator: `c` asks to cancel, its end means that it has died."""

    def __init__(self, sock: socket.socket, wakeup: int) -> None:
        self.sock = sock
        self.wakeup = wakeup
        self.cancelled = False
        self.orphaned = False
        self.is_full_told = False
        sock.setblocking(False)

    def cancel(self) -> None:
        self.cancelled = True

    def tell_full(self) -> None:
        """Tell the orchestrator once that the command is over, and the disk takes no more of it."""
        if not self.is_full_told:
            self.is_full_told = True
            with contextlib.suppress(OSError):
                self.sock.send(FULL)

    def poll(self) -> None:
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
    """Take the stage's locks, waiting in slices to notice a cancel, and run the command."""
    deadline = Deadline(spec.lock_timeout_s, clock)
    paths = [Path(path) for path in spec.locks]
    while True:
        left_s = deadline.left_s
        try:
            with locks.hold(
                paths,
                run_id=spec.run_id,
                agent=spec.agent,
                stage=spec.stage,
                timeout_s=min(_LOCK_SLICE_S, left_s),
            ):
                return _Command(spec, line, clock).run()
        except LockBusy as busy:
            line.poll()
            if line.cancelled:
                return ExitRecord(
                    ending=CommandEnding.CANCELLED, reason="cancelled while waiting for a lock"
                )
            if line.orphaned or left_s == 0.0:
                wait = msgspec.structs.replace(busy.wait, waited_s=spec.lock_timeout_s)
                return ExitRecord(ending=CommandEnding.LOCKED, reason=wait.what, lock=wait)


class _Command:
    """One running command: its pipes, its deadlines, its end."""

    def __init__(self, spec: LaunchSpec, line: _Lifeline, clock: Clock) -> None:
        self.spec = spec
        self.clock = clock
        self.line = line
        self.selector = selectors.DefaultSelector()
        self.subreaper = not spec.portable and tree.become_subreaper()
        self.dropped_bytes = 0
        self.ending = CommandEnding.EXITED
        self.signals = 0
        self.next_signal_at_s = 0.0

    def run(self) -> ExitRecord:
        started_s = self.clock()
        try:
            process = self._start()
        except OSError as exc:
            missing = exc.filename or self.spec.argv[0]
            return ExitRecord(
                ending=CommandEnding.NOT_FOUND,
                code=127,
                reason=f"cannot run {missing}: {exc.strerror}",
            )
        session = f"{process.pid} {tree.start_time(process.pid)}"
        with contextlib.suppress(OSError):
            (Path(self.spec.folder) / SESSION_FILE).write_text(session)
        with contextlib.ExitStack() as stack:
            self._register(process, stack)
            self._pump(process, started_s)
            self._drain()
        # What left the command's group (setsid) would survive a signal to the group.
        swept = tree.sweep(process.pid, subreaper=self.subreaper)
        return ExitRecord(
            ending=self.ending,
            code=process.returncode,
            duration_s=round(self.clock() - started_s, 3),
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
                # A group of its own to signal, and no terminal that a prompt could wait on.
                start_new_session=True,
            )

    def _register(self, process: "subprocess.Popen[bytes]", stack: contextlib.ExitStack) -> None:
        for pipe, name in ((process.stdout, STDOUT), (process.stderr, STDERR)):
            if pipe is None:
                continue
            os.set_blocking(pipe.fileno(), False)
            file = stack.enter_context((Path(self.spec.folder) / name).open("ab", 0))
            stream = redact.RedactingStream(self.spec.secrets)
            log = OutputLog(file, self.spec.output_cap_bytes, stream, self._may_wait)
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

    def _may_wait(self) -> bool:
        """Say that the disk is full; return whether to wait for room: not for what can run anew."""
        self.line.tell_full()
        self.line.poll()
        is_given_up = self.line.orphaned and self.spec.on_orphan is OnOrphan.KILL
        return not (self.line.cancelled or is_given_up)

    def _pump(self, process: "subprocess.Popen[bytes]", started_s: float) -> None:
        last_output_s = started_s
        while process.poll() is None:
            now_s = self.clock()
            soonest_s = min(
                started_s + self.spec.timeout_s, last_output_s + self.spec.idle_timeout_s
            )
            if self.signals:
                soonest_s = self.next_signal_at_s
            # Without a pidfd nothing wakes this up when the command ends, so it has to poll.
            longest_s = _LONGEST_WAIT_S if self.has_pidfd else _TICK_S
            if self.spec.memory_max_bytes:
                longest_s = min(longest_s, _MEMORY_TICK_S)
            wait_s = min(longest_s, max(0.0, soonest_s - now_s))
            if self._read(wait_s):
                last_output_s = self.clock()
            self._check_time(process, started_s, last_output_s)

    def _check_time(
        self, process: "subprocess.Popen[bytes]", started_s: float, last_output_s: float
    ) -> None:
        now_s = self.clock()
        if self.signals:
            if now_s >= self.next_signal_at_s:
                self._escalate(process)
        elif self.line.cancelled:
            self._escalate(process, CommandEnding.CANCELLED)
        elif self.line.orphaned and self.spec.on_orphan is OnOrphan.KILL:
            self._escalate(process, CommandEnding.ORPHANED)
        elif now_s >= started_s + self.spec.timeout_s:
            self._escalate(process, CommandEnding.TIMEOUT)
        elif now_s >= last_output_s + self.spec.idle_timeout_s:
            self._escalate(process, CommandEnding.IDLE)
        elif 0 < self.spec.memory_max_bytes < tree.resident_bytes():
            self._escalate(process, CommandEnding.MEMORY)

    def _escalate(
        self, process: "subprocess.Popen[bytes]", ending: CommandEnding | None = None
    ) -> None:
        """Send the next signal to the group: first TERM and CONT, then KILL."""
        self.ending = ending or self.ending
        if self.signals == 0:
            tree.signal_group(process.pid, signal.SIGTERM)
            # A stopped process acts on TERM only once it continues.
            tree.signal_group(process.pid, signal.SIGCONT)
        else:
            tree.signal_group(process.pid, signal.SIGKILL)
        self.signals += 1
        self.next_signal_at_s = self.clock() + self.spec.grace_s

    def _read(self, wait_s: float) -> bool:
        """Handle what is ready, waiting up to `wait_s`; return whether there was output."""
        has_output = False
        for key, _ in self.selector.select(wait_s):
            if key.fileobj is self.line.sock:
                self.line.poll()
                if self.line.orphaned:
                    self.selector.unregister(self.line.sock)
            elif key.fd == self.line.wakeup:
                os.read(self.line.wakeup, 64)
            elif isinstance(key.data, OutputLog):
                has_output = self._read_pipe(key.fileobj, key.data) or has_output
        return has_output

    def _read_pipe(self, pipe: object, log: OutputLog) -> bool:
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
        """Read what is left in the pipes.

        Not to their end: a grandchild may hold them open for as long as it lives.
        """
        deadline = Deadline(_DRAIN_S, self.clock)
        while self._has_pipes() and deadline.left_s:
            if not self._read(0.02) and self._has_pipes():
                return

    def _has_pipes(self) -> bool:
        return any(isinstance(key.data, OutputLog) for key in self.selector.get_map().values())
