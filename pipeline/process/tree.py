"""Find and end every process of an attempt, including those that left its process group.

On Linux the shim is a subreaper, so whatever its command leaves behind becomes its own child. Other
systems have only the process group, and a process that leaves it with `setsid` lives on.
"""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Collection
from pathlib import Path

from pipeline.files.clocks import Deadline

_PR_SET_CHILD_SUBREAPER = 36
_SWEEP_S = 5.0
_LASTS_S = 0.2


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


def start_time(pid: int) -> int:
    """Return when a process was started, in the kernel's ticks since boot; 0 if it is not there."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def end_left(folder: Path, session: str, cwd: str) -> list[str]:
    """Kill what is left of a command whose shim died; return what cannot be ended, in words.

    A process is of the command if its environment names the command's `folder`, or it is in the
    command's `session` (its leader's id and start time). One that hides both, and works below
    `cwd` since the command was started, is not killed, because it could be a person's; it is named.
    """
    leader, _, since = session.partition(" ")
    sid, begun = int(leader or 0), int(since or 0)
    if not Path("/proc/self/environ").exists():
        if sid:
            signal_group(sid, signal.SIGKILL)
        return []
    deadline = Deadline(_SWEEP_S)
    while True:
        left = [pid for pid in _processes() if _is_member(pid, os.fsencode(folder), sid, begun)]
        if not left or not deadline.left_s:
            break
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)  # noqa: TID251 - these are not our children: nothing signals their end
    if cwd and begun:
        beside = [pid for pid in _processes() if _works_below(pid, cwd, begun)]
        if beside:
            time.sleep(_LASTS_S)  # noqa: TID251 - what is about to end by itself is not worth a word
        left += [pid for pid in beside if _works_below(pid, cwd, begun)]
    return [f"{pid} ({_name(pid)})" for pid in left]


def _processes() -> list[int]:
    mine = os.getpid()
    found = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - names
    return [pid for pid in found if pid != mine and _stat(pid)[:1] not in ([], ["Z"], ["X"])]


def _stat(pid: int) -> list[str]:
    """Return the fields of a process after its name: state first; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return []


def _is_member(pid: int, folder: bytes, sid: int, begun: int) -> bool:
    fields = _stat(pid)
    if sid and fields[3:4] == [str(sid)] and start_time(pid) >= begun:
        # The id may have a new owner by now, who then leads another session.
        return start_time(sid) in {0, begun}
    try:
        return folder + b"/" in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _works_below(pid: int, cwd: str, begun: int) -> bool:
    with contextlib.suppress(OSError):
        where = Path(f"/proc/{pid}/cwd").readlink()
        return f"{where}/".startswith(f"{cwd}/") and start_time(pid) >= begun
    return False


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return "?"


def end_strangers(shims: Collection[int]) -> None:
    """Kill every child of this process that is not one of its shims, with all below it.

    As a subreaper it has no other children than shims and what a killed shim left behind.
    """
    deadline = Deadline(_SWEEP_S)
    while deadline.left_s:
        children = [pid for pid in _children(os.getpid()) if pid not in shims]
        if not children:
            return
        for pid in [one for child in children for one in (child, *_descendants(child))]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)  # noqa: TID251 - nothing signals that a grandchild was re-parented


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
        below = _children(waiting.pop())
        descendants += below
        waiting += below
    return descendants


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in children.read_text().split()]
    return found
