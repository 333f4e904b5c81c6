"""The one place where facts are recorded: appended to the journal, folded, told to listeners.

Nothing else writes a journal. The state is the fold of the journal at any moment, and listeners
hear each event after it was written and folded, in the journal's order.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from pipeline.core.events import Event, Noted, RunStarted
from pipeline.core.fold import apply, fold
from pipeline.core.state import RunState
from pipeline.engine.ground import known
from pipeline.engine.ground.lookup import holder, load_plan, no_state
from pipeline.engine.ground.world import Listener, World
from pipeline.errors import Busy
from pipeline.files import locks
from pipeline.files.journal import Journal
from pipeline.files.locks import LockBusy
from pipeline.files.rundir import RunDir
from pipeline.language.plan import Plan

_RUN_LOCK_TIMEOUT_S = 0.5


class Record:
    """A run's journal open for writing, its state, and those who listen. Used by one thread."""

    def __init__(self, world: World, rundir: RunDir, journal: Journal, state: RunState) -> None:
        """Made by `open_record` and `create_record`; `state` is the fold of the journal."""
        self.state = state
        self._world = world
        self._rundir = rundir
        self._journal = journal
        self._listeners: list[Listener] = [make(rundir) for make in world.listeners]
        self._is_synced = True

    @property
    def events(self) -> Sequence[Event]:
        """All events so far, in order."""
        return self._journal.events

    def add(self, *events: Event, durable: bool = True) -> None:
        """Append events, fold them, and tell them to all who listen.

        What is not durable yet becomes so with the next durable event, or with `sync`. Secrets in
        them are taken out before, so that nobody ever hears one.
        """
        events = tuple(known.redacted(self._world, event) for event in events)
        self._journal.append(events, durable=durable)
        self._is_synced = durable
        self.replay(*events, *self._shown_again(events))

    def _shown_again(self, events: Sequence[Event]) -> Sequence[Event]:
        """Make the run folder again if it is gone, as it was before these events; note that.

        `git clean -fdx` takes it, most often. The working folder has the journal still.
        """
        if self._journal.is_shown:
            return ()
        self._rundir.show()
        self._show_again(self._journal.events[: -len(events)])
        text = f"{self._rundir.folder} was removed while the run went on, and is made again"
        note = Noted(at=events[-1].at, text=text)
        self._journal.append([note], durable=False)
        return (note,)

    def replay(self, *events: Event) -> None:
        """Fold events that the journal holds and tell each; a run's first is folded already."""
        for event in events:
            if not isinstance(event, RunStarted):
                apply(self.state, event)
            for listener in self._listeners:
                listener.hear(event, self.state)

    def show_again(self) -> None:
        """Make the files of the run folder again, which is new."""
        self._show_again(self._journal.events)

    def _show_again(self, events: Sequence[Event]) -> None:
        for listener in self._listeners:
            listener.show_again(events, self.state)

    def sync(self) -> None:
        """Make durable what was added: before anything is started or waited for."""
        if not self._is_synced:
            self._journal.sync()
            self._is_synced = True

    def close(self) -> None:
        """Let the run go; a disk that takes nothing more does not hide why."""
        with suppress(OSError):
            self.sync()
        self._journal.close()
        for listener in self._listeners:
            with suppress(OSError):
                listener.close(self.state)


@contextmanager
def create_record(
    world: World, rundir: RunDir, plan: Plan, started: RunStarted, *others: Event
) -> Iterator[Record]:
    """Begin a run: its journal comes into being with its first events, or not at all.

    They are told as they are folded, one by one, as all later ones are.
    """
    known.use_base(world, started.base)
    events = [known.redacted(world, event) for event in (started, *others)]
    journal = Journal.create(rundir.kept_journal, events, rundir.shown_journal)
    rundir.show()
    record = Record(world, rundir, journal, fold(plan, events[:1]))
    try:
        record.replay(*events)
        yield record
    finally:
        record.close()


@contextmanager
def open_record(world: World, rundir: RunDir) -> Iterator[Record]:
    """Open the record of a run for writing; only under `exclusive`.

    Raises `UsageProblem` when the run's state is elsewhere or gone, and `InternalError` when its
    journal is damaged.
    """
    if not rundir.kept_plan.exists():
        raise no_state(world, rundir)
    plan = load_plan(rundir.plan)
    is_shown = rundir.shown_journal.exists()
    rundir.show()
    journal = Journal(rundir.journal, rundir.shown_journal)
    record = Record(world, rundir, journal, fold(plan, journal.events))
    known.use_base(world, record.state.started.base)
    try:
        if not is_shown:
            record.show_again()
        yield record
    finally:
        record.close()


@contextmanager
def exclusive(world: World, rundir: RunDir) -> Iterator[None]:
    """Be the one process that works on a run. Raises `Busy`, which names the other one."""
    paths = rundir.run_locks
    try:
        with locks.hold(
            paths,
            run_id=rundir.run_id,
            agent="engine",
            stage="",
            timeout_s=_RUN_LOCK_TIMEOUT_S,
            now=world.clock,
        ):
            yield
    except LockBusy as busy:
        if busy.wait.path not in map(str, paths):  # a lock that was wanted inside the block
            raise
        who = holder(world, rundir.run_id) or busy.wait.holder
        pid = f" (process {who.pid}, since {who.timestamp})" if who else ""
        watch = f"Watch it: pipeline status {rundir.run_id}"
        raise Busy(
            f"run {rundir.run_id} is being worked on already{pid}",
            f"{watch}; or end it: pipeline cancel {rundir.run_id}",
        ) from busy
