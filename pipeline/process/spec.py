"""What a shim is given, and what it leaves behind; both are plain JSON."""

from enum import StrEnum

import msgspec

from pipeline.files.locks import LockWait

RECORD_FILE = "exit.json"
ALIVE_LOCK_FILE = "shim.lock"
ABANDONED_FILE = "abandoned"
SESSION_FILE = "session"
"""The command's process, which leads its session: its id, and when it was started by the kernel."""

STDOUT = "stdout.log"
STDERR = "stderr.log"
ATTEMPT_ID_VARIABLE = "PIPELINE_ATTEMPT_ID"
HEADER_BYTES = 8
FULL = b"f"
"""What a shim sends whose command is over while the disk takes no more of its output."""


class OnOrphan(StrEnum):
    """What a shim does if the process that started it dies: wait to be adopted, or kill."""

    ADOPT = "adopt"
    KILL = "kill"


class CommandEnding(StrEnum):
    """Why a command has ended."""

    EXITED = "exited"
    TIMEOUT = "timeout"
    IDLE = "idle"
    MEMORY = "memory"
    CANCELLED = "cancelled"
    ORPHANED = "orphaned"
    LOCKED = "locked"
    NOT_FOUND = "not_found"


class LaunchSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One command to run under a shim; logs and the record go to `folder`, the attempt's own.

    It gets `grace_s` between TERM and KILL. `memory_max_bytes` bounds the resident memory of all
    its processes together (0: no bound; only on Linux). With `portable` the shim does without calls
    that only Linux has.
    """

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    folder: str
    stdin: str = ""
    timeout_s: float
    idle_timeout_s: float
    grace_s: float = 5.0
    memory_max_bytes: int = 0
    output_cap_bytes: int = 64 * 1024 * 1024
    on_orphan: OnOrphan = OnOrphan.ADOPT
    locks: tuple[str, ...] = ()
    lock_timeout_s: float = 60.0
    run_id: str = ""
    agent: str = ""
    stage: str = ""
    secrets: tuple[str, ...] = ()
    portable: bool = False


class ExitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How the command ended, written before the shim exits.

    `code` is negative for a signal. `swept` counts processes that the command left behind and the
    shim killed; `dropped_bytes` is the output beyond the cap.
    """

    ending: CommandEnding
    code: int = 0
    reason: str = ""
    lock: LockWait | None = None
    duration_s: float = 0.0
    dropped_bytes: int = 0
    swept: int = 0
