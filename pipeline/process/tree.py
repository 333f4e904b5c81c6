"""Find and end every process of an attempt, including those that left its process group.

On Linux the shim is a subreaper, so whatever its command leaves behind becomes its own child. Other
systems have only the process group, and a process that leaves it with `setsid` lives on.
"""

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

from pipeline.files.clocks import Deadline

_PR_SET_CHILD_SUBREAPER = 36
_SWEEP_S = 5.0


def become_subreaper() -> bool:
    """Make orphans below this process its children; returns False where that is impossible."""
    # `PR_SET_PDEATHSIG` would not do: it is sent when the starting *thread* ends, and only to the
    # command itself.
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def open_pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends; None if not supported."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def signal_group(pid: int, number: int) -> None:
    """Send a signal to the process group that `pid` leads."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def resident_bytes() -> int:
    """Return the resident memory of all processes below this one; 0 where it cannot be told.

    Pages that processes share are counted for each. Never the address space: Node, Go and the JVM
    reserve far more than they use.
    """
    total = 0
    for pid in _descendants(os.getpid()):
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return total * os.sysconf("SC_PAGE_SIZE")


def sweep(group: int, *, subreaper: bool) -> int:
    """Kill and reap everything left of an attempt; return the number of processes."""
    if not subreaper:
        signal_group(group, signal.SIGKILL)
        _reap()
        return 0
    ended = 0
    deadline = Deadline(_SWEEP_S)
    # Once is not enough: a process can fork between the listing and the signal, and children of a
    # killed one become ours only after its death.
    while _reap() and deadline.left_s:
        for pid in _descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                ended += 1
        time.sleep(0.005)  # noqa: TID251 - nothing signals that a grandchild was re-parented
    return ended


def _reap() -> bool:
    """Reap ended children; return whether any child is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _descendants(pid: int) -> list[int]:
    """List all processes below one, by the lists of children that the kernel keeps."""
    descendants: list[int] = []
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        for children in Path(f"/proc/{current}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                below = [int(word) for word in children.read_text().split()]
                descendants += below
                waiting += below
    return descendants
