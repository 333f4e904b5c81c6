"""Locks that die with their holder: a kernel lock on `.locks/<resource>.lock`, with a record in it.

The record (JSON: `run_id`, `agent`, `timestamp`, `pid`, `stage`, `host`) says who holds it, or held
it last; whether it is held is decided by the kernel alone, never by age. The file is never removed:
a lock file that is deleted while it is held lets a second holder in.
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


class LockHolder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a lock, as written into its file."""

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
    """A lock that was waited for in vain: its file, who holds it, and how long the wait was."""

    path: str
    waited_s: float
    holder: LockHolder | None

    @property
    def what(self) -> str:
        """Say who holds it."""
        who = "somebody who left no record"
        if self.holder is not None:
            who = f"{self.holder.agent} of run {self.holder.run_id} (pid {self.holder.pid})"
            who += f" since {self.holder.timestamp}"
        return f"the lock {Path(self.path).stem} is held by {who}; waited {self.waited_s:g} s"

    @property
    def hint(self) -> str:
        """Say what a person can type."""
        stop = f"pipeline cancel {self.holder.run_id}" if self.holder else "pipeline locks"
        longer_s = max(300, round(self.waited_s * 5))
        return f"Wait longer: AGENT_LOCK_TIMEOUT={longer_s}; or end the holder: {stop}"


class LockBusy(Busy):
    """A lock was not free in time; `wait` says which, and who holds it."""

    def __init__(self, wait: LockWait) -> None:
        """Say it in the words of the wait."""
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
    """Hold all locks, taken in sorted order, for the length of the block.

    Waits `timeout_s` of awake time in all; then raises `LockBusy`, which names the holder, and holds none.
    """
    if not paths:
        yield
        return
    from filelock import FileLock, Timeout  # loads asyncio; a stage without locks does without it

    deadline = Deadline(timeout_s, clock)
    with ExitStack() as stack:
        for path in sorted(set(paths)):
            path.parent.mkdir(parents=True, exist_ok=True)
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
    """A bare kernel lock on a file, without a record.

    Held until it is closed or the process dies.
    """

    def __init__(self, descriptor: int) -> None:
        """Made by `lease`."""
        self._descriptor = descriptor

    def close(self) -> None:
        """Let go; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def lease(path: Path, *, shared: bool = False) -> Lease | None:
    """Take a bare lock without waiting, alone or shared; None when somebody else holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return Lease(descriptor)


def read_all(folder: Path) -> list[LockView]:
    """Look at every lock file of a folder, without disturbing anyone."""
    return [look(path) for path in sorted(folder.glob("*.lock"))] if folder.is_dir() else []


def look(path: Path) -> LockView:
    """Tell whether a lock is held now, and who wrote the record in it.

    Looks with a shared lock, so that two who look are never taken for holders by each other.
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
