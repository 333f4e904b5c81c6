"""Named places where a crash test can kill the process; they do nothing in a real run.

`reached("push.done")` is called after every step that has an effect. `arm` is called only by the
wiring, from `PIPELINE_FAILPOINT=name[@stage][#count]`, and by `pipeline demo --crash-after`.
"""

import os
import signal
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

_armed: dict[str, int] = {}


def arm(spec: str) -> None:
    """Arm a failpoint: `NAME`, `NAME@STAGE`, and `#N` for the N-th time it is reached."""
    name, _, count = spec.partition("#")
    if name.partition("@")[0] not in NAMES:
        raise UsageProblem(f"there is no failpoint {name!r}", "There are: " + ", ".join(NAMES))
    _armed[name] = int(count or 1)


def reached(name: str, stage: str = "") -> None:
    """Pass a named place; kills the process if the place is armed."""
    if not _armed:
        return
    for key in (name, f"{name}@{stage}"):
        if key in _armed:
            _armed[key] -= 1
            if _armed[key] == 0:
                # SIGKILL, so that no `finally` and no exit handler runs, as in a real crash.
                os.kill(os.getpid(), signal.SIGKILL)
