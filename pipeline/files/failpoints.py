"""Named places where a crash test can kill the process; they do nothing in a real run.

`reached("push.done")` is called after every step that has an effect. `arm` is called only by the
wiring, from `PIPELINE_FAILPOINT=name[@stage][#count][:mode]`, and by `pipeline demo --crash-after`.
The mode is `kill`, or `raise` for an error of our own, or `hang` for a process that goes no further
until somebody kills it.
"""

import os
import signal
import threading
from pathlib import Path
from typing import Final

from pipeline.errors import UsageProblem

NAMES: Final = (
    "run.created",
    "base.pinned",
    "baseline.done",
    "stage.intended",
    "stage.launched",
    "stage.exited",
    "stage.harvested",
    "gates.done",
    "stage.committed",
    "stage.ref_set",
    "stage.recorded",
    "round.started",
    "person.committed",
    "person.recorded",
    "branch.intended",
    "branch.composed",
    "branch.set",
    "branch.recorded",
    "push.intended",
    "push.done",
    "push.recorded",
    "pr.intended",
    "pr.created",
    "pr.recorded",
    "run.finished",
    "latest.switched",
)

_ENDINGS = (":kill", ":raise", ":hang")
_armed: dict[str, int] = {}
_mode: dict[str, str] = {}


def arm(spec: str) -> None:
    """Arm a failpoint: `NAME`, `NAME@STAGE`, `#N` for the N-th time it is reached, `:MODE`."""
    # Names of stages can have colons, too.
    place, _, mode = spec.rpartition(":") if spec.endswith(_ENDINGS) else (spec, "", "")
    name, _, count = place.partition("#")
    if name.partition("@")[0] not in NAMES:
        raise UsageProblem(f"there is no failpoint {name!r}", "There are: " + ", ".join(NAMES))
    _armed[name] = int(count or 1)
    _mode[name] = mode


def reached(name: str, stage: str = "") -> None:
    """Pass a named place; kills the process if the place is armed."""
    if not _armed:
        return
    for key in (name, f"{name}@{stage}"):
        if key in _armed:
            _armed[key] -= 1
            if _armed[key] == 0:
                _crash(key)


def _crash(key: str) -> None:
    if _mode[key] == "raise":
        raise RuntimeError(f"the failpoint {key}")
    if _mode[key] == "hang":
        # Whoever waits for it sees this file, and kills what it wants to kill.
        Path(os.environ["PIPELINE_FAILPOINT_FILE"]).touch()  # noqa: TID251 - for tests alone
        threading.Event().wait()
    # SIGKILL, so that no `finally` and no exit handler runs, as in a real crash.
    os.kill(os.getpid(), signal.SIGKILL)
