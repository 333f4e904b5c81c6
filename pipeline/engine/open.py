"""Having a run to oneself, and its journal open for writing."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.engine.look import holder
from pipeline.engine.world import World
from pipeline.errors import Busy
from pipeline.files import locks
from pipeline.files.journal import Journal
from pipeline.files.rundir import RunDir
from pipeline.ids import lock_file_name

_RUN_LOCK_S = 0.5


@contextmanager
def exclusive(world: World, rundir: RunDir) -> Iterator[None]:
    """Be the one process that works on a run."""
    path = rundir.lock(lock_file_name("run", rundir.run_id))
    try:
        with locks.hold(
            [path], run_id=rundir.run_id, agent="engine", stage="", timeout_s=_RUN_LOCK_S
        ):
            yield
    except Busy as busy:
        if not busy.what.startswith("the lock run"):
            raise
        who = holder(world, rundir.run_id)
        pid = f" (process {who.pid}, since {who.timestamp})" if who else ""
        raise Busy(
            f"run {rundir.run_id} is being worked on already{pid}",
            f"Watch it: pipeline status {rundir.run_id}; or end it: pipeline cancel {rundir.run_id}",
        ) from busy


@contextmanager
def open_journal(rundir: RunDir) -> Iterator[Journal]:
    """Have a run's journal open for writing.

    Only under `exclusive`, or before anybody knows the run.
    """
    opened = Journal(rundir.journal)
    try:
        yield opened
    finally:
        opened.close()
