"""What a person asks of a run while a process works on it: handed over as an event in a file.

The process that works on the run is the only writer of its record; it takes these files in within a
quarter of a second. When nobody works on the run, the event is recorded at once.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from pipeline.core.events import Event, decode, encode
from pipeline.engine.ground import known
from pipeline.engine.ground.lookup import holder, require_run
from pipeline.engine.ground.record import exclusive, open_record
from pipeline.engine.ground.world import World
from pipeline.errors import Busy
from pipeline.files import atomic
from pipeline.files.rundir import RunDir

_FOLDER = "requests"


def post(world: World, name: str, *events: Event) -> str:
    """Have events recorded by whoever works on the run; return who that is, in words.

    Nobody may begin or stop working on it in between, so both ways are tried.
    """
    rundir = require_run(world, name)
    with suppress(Busy), exclusive(world, rundir), open_record(world, rundir) as record:
        record.add(*events)
        return "written down"
    folder = rundir.work / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for number, event in enumerate(events):
        stamp = f"{world.clock():%Y%m%d%H%M%S%f}-{number:03}-{world.randomness(4).hex()}"
        atomic.write_bytes(folder / f"{stamp}.json", encode(known.redacted(world, event)))
    who = holder(world, name)
    return f"handed to process {who.pid}" if who is not None else "kept for the next resume"


def waiting(rundir: RunDir) -> Iterator[tuple[Path, Event]]:
    """Yield the events that were handed over, the oldest first; what cannot be read is removed."""
    folder = rundir.work / _FOLDER
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("*.json")):
        try:
            yield path, decode(path.read_bytes())
        except (OSError, msgspec.DecodeError):
            path.unlink(missing_ok=True)
