"""Locks that die with their holder: a kernel lock on `.locks/<resource>.lock`, with a record in it.

The record (JSON: `run_id`, `agent`, `timestamp`, `pid`, `stage`, `host`) says who holds it, or held
it last; whether it is held is decided by the kernel alone, never by age. The file is never removed:
a lock file that is deleted while it is held lets a second holder in.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pipeline.errors import Busy
from pipeline.files.clocks import Clock, Deadline, awake_s

POLL_INTERVAL_S = 0.01


class Holder(msgspec.Struct, frozen=True, kw_only=True):
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
    holder: Holder | None


@contextmanager
def hold(
    paths: Sequence[Path],
    *,
    run_id: str,
    agent: str,
    stage: str,
    timeout_s: float,
    clock: Clock = awake_s,
) -> Iterator[None]:
    """Hold all locks, taken in sorted order, for the length of the block.

    Waits `timeout_s` of awake time in all; then raises `Busy`, which names the holder, and holds
    none.
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
                raise _busy(path, timeout_s) from exc
            stack.callback(lock.release)
            _write_holder(path, run_id, agent, stage)
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


def _write_holder(path: Path, run_id: str, agent: str, stage: str) -> None:
    """Write the record in place: a rename would put a new, unlocked file under the name."""
    holder = Holder(
        run_id=run_id,
        agent=agent,
        timestamp=datetime.now(UTC).isoformat(timespec="seconds"),
        pid=os.getpid(),
        stage=stage,
        host=os.uname().nodename,
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        data = msgspec.json.encode(holder) + b"\n"
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
    finally:
        os.close(descriptor)


def _read_holder(path: Path) -> Holder | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def _busy(path: Path, timeout_s: float) -> Busy:
    holder = _read_holder(path)
    who = "somebody who left no record"
    stop = "pipeline locks"
    if holder is not None:
        who = f"{holder.agent} of run {holder.run_id} (pid {holder.pid}) since {holder.timestamp}"
        stop = f"pipeline cancel {holder.run_id}"
    return Busy(
        f"the lock {path.stem} is held by {who}; waited {timeout_s:g} s",
        f"Wait longer: AGENT_LOCK_TIMEOUT={max(300, round(timeout_s * 5))}; or end the holder: {stop}",
    )
