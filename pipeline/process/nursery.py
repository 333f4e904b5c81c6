"""The nursery: a small process, started once, that forks a shim for every attempt.

Forking from here costs a millisecond or two; starting Python for each stage would cost fifty, and
forking from the orchestrator would copy its threads' locks. A request is a length and a JSON spec,
with the shim's end of the attempt's socket attached.
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
    """Serve requests until the orchestrator's end is closed; running shims go on without us."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.disable()
    gc.freeze()  # a collection in a forked shim would copy every page it looks at
    control = socket.socket(fileno=control_fd)
    while request := _receive(control):
        data, lifeline = request
        if os.fork() == 0:
            control.close()
            _be_shim(data, lifeline)
        lifeline.close()


def _be_shim(data: bytes, lifeline: socket.socket) -> None:
    """Run the shim in the forked child and end it without going back up the stack."""
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
    size = int.from_bytes(header)
    data = b""
    while len(data) < size:
        chunk = control.recv(min(65536, size - len(data)))
        if not chunk:
            return None
        data += chunk
    return data, socket.socket(fileno=fds[0])
