"""The nursery: a small process, started once, that forks a shim for every attempt.

A fork from here takes a millisecond or two. Starting Python for each stage would take fifty, and a
fork of the orchestrator, which has threads, would copy locks in whatever state they are. A request
is a length and a spec as JSON, with the shim's end of the attempt's socket attached.
"""

import gc
import os
import signal
import socket
import sys

import msgspec

from pipeline.process import shim
from pipeline.process.spec import HEADER_BYTES, LaunchSpec


def main(control_fd: int) -> None:
    """Serve requests until the orchestrator closes its end; running shims go on."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies: nobody waits for shims here
    gc.disable()
    # A collection writes to the header of every object, so a forked shim would copy all pages.
    gc.freeze()
    control = socket.socket(fileno=control_fd)
    while request := _receive(control):
        data, lifeline = request
        if os.fork() == 0:
            control.close()
            _be_shim(data, lifeline)
        lifeline.close()


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
