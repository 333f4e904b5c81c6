"""The nursery: a small process, started once, that forks a shim for every attempt.

A fork from here takes a millisecond or two. Starting Python for each stage would take fifty, and a
fork of the orchestrator, which has threads, would copy locks in whatever state they are. A request
is a length and a spec as JSON, with the shim's end of the attempt's socket attached.
"""

import gc
import os
import selectors
import signal
import socket
import sys

import msgspec

from pipeline.process import shim, tree
from pipeline.process.spec import HEADER_BYTES, LaunchSpec


def main(control_fd: int) -> None:
    """Serve requests until the orchestrator closes its end; running shims go on."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies: nobody waits for shims here
    gc.disable()
    # A collection writes to the header of every object, so a forked shim would copy all pages.
    gc.freeze()
    # What a killed shim leaves behind becomes a child of this process, whatever it hides.
    is_subreaper = tree.become_subreaper()
    control = socket.socket(fileno=control_fd)
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        shims: dict[int, int] = {}
        while True:
            for key, _ in selector.select():
                if key.fileobj is control:
                    request = _receive(control)
                    if request is None:
                        return
                    pid = _fork_shim(control, *request)
                    pidfd = tree.open_pidfd(pid) if is_subreaper else None
                    if pidfd is not None:
                        shims[pidfd] = pid
                        selector.register(pidfd, selectors.EVENT_READ)
                else:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    del shims[key.fd]
                    tree.end_strangers(shims.values())


def _fork_shim(control: socket.socket, data: bytes, lifeline: socket.socket) -> int:
    pid = os.fork()
    if pid == 0:
        control.close()
        _be_shim(data, lifeline)
    lifeline.close()
    return pid


def _be_shim(data: bytes, lifeline: socket.socket) -> None:
    """Run the shim in the forked child, and exit without returning into the loop above."""
    status = 1
    try:
        shim.run(msgspec.json.decode(data, type=LaunchSpec), lifeline)
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def _receive(control: socket.socket) -> tuple[bytes, socket.socket] | None:
    header, fds, _, _ = socket.recv_fds(control, HEADER_BYTES, 1)
    while header and len(header) < HEADER_BYTES:
        header += control.recv(HEADER_BYTES - len(header))
    if not header or not fds:
        return None
    size_bytes = int.from_bytes(header)
    data = b""
    while len(data) < size_bytes:
        chunk = control.recv(min(65536, size_bytes - len(data)))
        if not chunk:
            return None
        data += chunk
    return data, socket.socket(fileno=fds[0])
