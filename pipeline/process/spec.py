"""What is handed to a shim, and what it leaves behind; both are plain JSON."""

from enum import StrEnum

import msgspec

from pipeline.files.locks import LockWait

RECORD = "exit.json"
ALIVE_LOCK = "shim.lock"
ABANDONED = "abandoned"
STDOUT = "stdout.log"
STDERR = "stderr.log"
TAG = "PIPELINE_ATTEMPT_ID"
HEADER_BYTES = 8


class OnOrphan(StrEnum):
    """What a shim does when the process that started it dies."""

    ADOPT = "adopt"
    KILL = "kill"


class Ending(StrEnum):
    """Why a command is over."""

    EXITED = "exited"
    TIMEOUT = "timeout"
    IDLE = "idle"
    CANCELLED = "cancelled"
    ORPHANED = "orphaned"
    LOCKED = "locked"
    NOT_FOUND = "not_found"


class LaunchSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One command to run under a shim. `folder` is the attempt's own.

    Logs and the record go there.
    """

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    folder: str
    stdin: str = ""
    timeout_s: float
    idle_timeout_s: float
    grace_s: float = 5.0
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
    """How the command ended; on the disk before the shim goes. `code` is negative for a signal."""

    ending: Ending
    code: int = 0
    reason: str = ""
    lock: LockWait | None = None
    duration_s: float = 0.0
    dropped_bytes: int = 0
    swept: int = 0
