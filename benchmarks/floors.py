"""The floors.

The least that a runner of a given kind has to do for each stage, and nothing besides.

Run as a process of its own: `python -I -S floors.py KIND LAYERS FOLDER`, where LAYERS is for
example `1,1000,1`: the stages of a layer run side by side, eight at most, once the layer before is
done. A stage is `sh -c true`.

- `spawn`: start the process, wait for it.
- `fsync`: and before and after it, an event appended to a journal and synced.
- `shim`: and around it a forked process of its own session (subreaper, output through a pipe
  into a log), which leaves a record of the exit that is on the disk (write, sync, rename, sync of
  the folder); and the two events of `fsync`.
"""

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

KINDS = ("spawn", "fsync", "shim")
PARALLEL = 8
_STAGE = ("/bin/sh", "-c", "true")
_PR_SET_CHILD_SUBREAPER = 36
_SYNC = getattr(os, "fdatasync", os.fsync)
_NAME_BYTES = 256


class Journal:
    """An append-only file; every note is on the disk when `note` returns."""

    def __init__(self, path: Path) -> None:
        """Open a new one."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def note(self, event: str, stage: int) -> None:
        """Append one event."""
        os.write(self._file, f'{{"event":"{event}","stage":"s{stage}","attempt":1}}\n'.encode())
        _SYNC(self._file)


class Spawns:
    """Stages as plain children."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._running: dict[int, int] = {}

    def start(self, stage: int) -> None:
        """Start one."""
        self._running[os.posix_spawn(_STAGE[0], _STAGE, os.environ)] = stage

    def wait(self) -> list[int]:
        """Wait for the next that ends; return its number."""
        pid, status = os.wait()
        if status:
            sys.exit(f"a stage ended with status {status}")
        return [self._running.pop(pid)]


class Shims:
    """Stages under shims, which a small process started beforehand forks."""

    def __init__(self, folder: Path) -> None:
        """Start the small process."""
        self._folder = folder
        self._control, theirs = socket.socketpair()
        self._waiting = selectors.DefaultSelector()
        command = [sys.executable, "-I", "-S", __file__, "nursery", str(theirs.fileno()), "."]
        with theirs:
            self._nursery = subprocess.Popen(command, pass_fds=(theirs.fileno(),))

    def start(self, stage: int) -> None:
        """Ask for one shim; the socket that goes with it closes when it is gone."""
        folder = self._folder / f"s{stage}"
        folder.mkdir()
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(
                self._control, [os.fsencode(folder).ljust(_NAME_BYTES)], [theirs.fileno()]
            )
        self._waiting.register(ours, selectors.EVENT_READ, stage)

    def wait(self) -> list[int]:
        """Wait for the next that end, and read their records; return their numbers."""
        ended: list[int] = []
        for key, _ in self._waiting.select():
            self._waiting.unregister(key.fileobj)
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
            if (self._folder / f"s{key.data}" / "exit.json").read_bytes() != b'{"code":0}':
                sys.exit(f"stage {key.data} left a wrong record")
            ended.append(key.data)
        return ended

    def close(self) -> None:
        """End the small process."""
        self._control.close()
        self._nursery.wait()


def run(layers: Sequence[int], start: Callable[[int], None], wait: Callable[[], list[int]]) -> None:
    """Go through the layers, with eight stages at once at most."""
    first = 0
    for size in layers:
        todo = deque(range(first, first + size))
        running = 0
        while todo or running:
            while todo and running < PARALLEL:
                start(todo.popleft())
                running += 1
            running -= len(wait())
        first += size


def noted(
    journal: Journal, start: Callable[[int], None], wait: Callable[[], list[int]]
) -> tuple[Callable[[int], None], Callable[[], list[int]]]:
    """Put the two events around a way to start stages and to wait for them."""

    def start_noted(stage: int) -> None:
        journal.note("stage_started", stage)
        start(stage)

    def wait_noted() -> list[int]:
        ended = wait()
        for stage in ended:
            journal.note("stage_finished", stage)
        return ended

    return start_noted, wait_noted


def nursery(control_fd: int) -> None:
    """Fork a shim for each request, until the other end is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    control = socket.socket(fileno=control_fd)
    while True:
        data, fds, _, _ = socket.recv_fds(control, _NAME_BYTES, 1)
        if not data:
            return
        if os.fork() == 0:
            control.close()
            _be_shim(Path(os.fsdecode(data.rstrip())))
        os.close(fds[0])


def _be_shim(folder: Path) -> NoReturn:
    status = 1
    with contextlib.suppress(BaseException):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        code = _supervise(folder)
        _leave_record(folder, b'{"code":%d}' % code)
        status = 0
    os._exit(status)


def _supervise(folder: Path) -> int:
    """Run the stage with its output through a pipe into a log; return its exit status."""
    out, into = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, into, 1), (os.POSIX_SPAWN_DUP2, into, 2)]
    pid = os.posix_spawn(_STAGE[0], _STAGE, os.environ, file_actions=actions, setsid=True)
    os.close(into)
    log = os.open(folder / "stdout.log", os.O_WRONLY | os.O_CREAT, 0o644)
    while data := os.read(out, 65536):
        os.write(log, data)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _leave_record(folder: Path, record: bytes) -> None:
    temporary = folder / ".exit.json.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(descriptor, record)
    _SYNC(descriptor)
    temporary.rename(folder / "exit.json")
    os.fsync(os.open(folder, os.O_RDONLY))


def main(kind: str, layers: str, folder: Path) -> None:
    """Be one of the floors."""
    sizes = [int(size) for size in layers.split(",")]
    if kind == "nursery":
        nursery(sizes[0])
    elif kind == "shim":
        shims = Shims(folder)
        run(sizes, *noted(Journal(folder / "journal.jsonl"), shims.start, shims.wait))
        shims.close()
    else:
        spawns = Spawns()
        if kind == "fsync":
            run(sizes, *noted(Journal(folder / "journal.jsonl"), spawns.start, spawns.wait))
        else:
            run(sizes, spawns.start, spawns.wait)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
