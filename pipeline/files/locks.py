"""Locks that end with their holder: a kernel lock on `.locks/<resource>.lock`, with a record in it.

The record (JSON: `run_id`, `agent`, `timestamp`, `pid`, `stage`, `host`) names the holder, or the
last one; only the kernel decides whether the lock is held, never its age. The file is never
removed: the lock belongs to the file and not to its name, so another process could lock a new file
of that name while the old one is still held.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from pipeline.errors import Busy
from pipeline.files.clocks import Clock, Deadline, WallClock, awake_s, utc_now

POLL_INTERVAL_S = 0.01
"""A fifth of filelock's default: with 50 ms, waiting processes got their turn far less evenly."""


class LockHolder(msgspec.Struct, frozen=True, kw_only=True):
    """The holder of a lock, as written into its file."""

    run_id: str
    agent: str
    timestamp: str
    pid: int
    stage: str = ""
    host: str = ""


class LockView(msgspec.Struct, frozen=True, kw_only=True):
    """One lock file as a reader sees it."""

    name: str
    held: bool
    holder: LockHolder | None


class LockWait(msgspec.Struct, frozen=True, kw_only=True):
    """A lock that was not free in time: its file, its holder, and how long the wait was."""

    path: str
    waited_s: float
    holder: LockHolder | None

    @property
    def what(self) -> str:
        """What happened, for a message: which lock, its holder, and the wait."""
        who = "a process that left no record"
        if self.holder is not None:
            who = f"{self.holder.agent} of run {self.holder.run_id} (pid {self.holder.pid})"
            who += f" since {self.holder.timestamp}"
        return f"the lock {Path(self.path).stem} is held by {who}; waited {self.waited_s:g} s"

    @property
    def hint(self) -> str:
        """The commands that a person can use now."""
        stop = f"pipeline cancel {self.holder.run_id}" if self.holder else "pipeline locks"
        longer_s = max(300, round(self.waited_s * 5))
        return f"Wait longer: AGENT_LOCK_TIMEOUT={longer_s}; or stop the holder: {stop}"


class LockBusy(Busy):
    """A lock was not free in time; `wait` has the details."""

    def __init__(self, wait: LockWait) -> None:
        """Take message and hint from the wait."""
        super().__init__(wait.what, wait.hint)
        self.wait = wait


@contextmanager
def hold(
    paths: Sequence[Path],
    *,
    run_id: str,
    agent: str,
    stage: str,
    timeout_s: float,
    clock: Clock = awake_s,
    now: WallClock = utc_now,
) -> Iterator[None]:
    """Hold all locks for the length of the block.

    They are taken in sorted order, so that two stages cannot wait for each other. After `timeout_s`
    of awake time for all of them, releases what it has and raises `LockBusy` with the holder.
    """
    if not paths:
        yield
        return
    # Here, because it imports asyncio, which a stage without locks does not need.
    from filelock import FileLock, Timeout

    deadline = Deadline(timeout_s, clock)
    with ExitStack() as stack:
        for path in sorted(set(paths)):
            path.parent.mkdir(parents=True, exist_ok=True)
            # `fallback_to_soft` (filelock 4) would use the mere existence of a file as the lock
            # where the file system has no flock; that one does not end with its holder.
            lock = FileLock(
                path, fallback_to_soft=False, preserve_lock_file=True, thread_local=False
            )
            try:
                lock.acquire(timeout=deadline.left_s, poll_interval=POLL_INTERVAL_S)
            except Timeout as exc:
                wait = LockWait(path=str(path), waited_s=timeout_s, holder=_read_holder(path))
                raise LockBusy(wait) from exc
            stack.callback(lock.release)
            holder = LockHolder(
                run_id=run_id,
                agent=agent,
                timestamp=now().isoformat(timespec="seconds"),
                pid=os.getpid(),
                stage=stage,
                host=os.uname().nodename,
            )
            _write_holder(path, holder)
        yield


class Lease:
    """A kernel lock on a file, without a record; held until `close`, or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        """Only `lease` makes one."""
        self._descriptor = descriptor

    def close(self) -> None:
        """End the lease; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def lease(path: Path, *, shared: bool = False) -> Lease | None:
    """Lease a file without waiting, exclusively or shared; None if it is held already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return Lease(descriptor)


def inspect_all(folder: Path) -> list[LockView]:
    """Inspect every lock file of a folder, without disturbing any holder."""
    return [inspect(path) for path in sorted(folder.glob("*.lock"))] if folder.is_dir() else []


def inspect(path: Path) -> LockView:
    """Return whether a lock is held now, and the record in its file.

    Tries a shared lock, so that two processes that inspect it do not see each other as holders.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return LockView(name=path.stem, held=False, holder=None)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        held = False
    except BlockingIOError:
        held = True
    finally:
        os.close(descriptor)
    return LockView(name=path.stem, held=held, holder=_read_holder(path))


def _write_holder(path: Path, holder: LockHolder) -> None:
    """Write the record in place: a rename would put a new, unlocked file under the name."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        data = msgspec.json.encode(holder) + b"\n"
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
    finally:
        os.close(descriptor)


def _read_holder(path: Path) -> LockHolder | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=LockHolder)
    except (OSError, msgspec.DecodeError):
        return None
