"""The loop of a run: decide, carry out, record; until there is nothing left to do.

One thread owns journal and state; stages run in worker threads and hand back what they found. What
a stage found becomes true in this order: commit, ref, event. Killed in between, the run takes up
there.
"""

import contextlib
import queue
import threading
from datetime import datetime, timedelta

from pipeline.core.decide import (
    Cancel,
    Command,
    Finish,
    Park,
    Rest,
    Start,
    TakeBack,
    Waits,
    WaitUntil,
    decide,
)
from pipeline.core.events import (
    Basis,
    Event,
    Outcome,
    RoundStarted,
    RunEnd,
    RunFinished,
    RunParked,
    RunStarted,
    StageFinished,
    StageStarted,
)
from pipeline.core.retry import retry_delay_s
from pipeline.core.state import RunState
from pipeline.engine import inbox, person, sound
from pipeline.engine.basis import Bases
from pipeline.engine.carry import event_of, mend_for_person
from pipeline.engine.commits import recompose, stage_commit, stage_ref
from pipeline.engine.publishing.publish import Publisher
from pipeline.engine.stage import StageRunner
from pipeline.engine.task import Found, Task, task_of
from pipeline.engine.views import Views
from pipeline.engine.world import World
from pipeline.errors import Problem
from pipeline.files import locks
from pipeline.files.failpoints import reached
from pipeline.files.journal import Journal
from pipeline.files.rundir import RunDir
from pipeline.language.flow import FailureKind
from pipeline.language.plan import Kind, Node, Plan
from pipeline.repo import objects
from pipeline.repo.store import NO_COMMIT, Store

_LOOK_S = 0.25


class Stop:
    """How urgently a person wants the run to stop: not, politely, or now."""

    def __init__(self) -> None:
        """Start with not at all."""
        self.polite = threading.Event()
        self.now = threading.Event()

    def ask(self) -> None:
        """Ask once more: the first time politely, then now."""
        (self.now if self.polite.is_set() else self.polite).set()


class Run:
    """One run, open for work; made by `engine/runs` under the run's lock."""

    def __init__(
        self,
        world: World,
        rundir: RunDir,
        plan: Plan,
        journal: Journal,
        store: Store,
        runner: StageRunner,
    ) -> None:
        """Fold what the journal holds already."""
        self.world = world
        self.rundir = rundir
        self.store = store
        self.runner = runner
        self.state = RunState(plan)
        self.bases = Bases(rundir, runner.templates)
        self.mend = ""
        self.exit_code = 75
        self._journal = journal
        self._unsettled = False
        self._views = Views(rundir, world)
        self._inbox: queue.SimpleQueue[tuple[Task, Found]] = queue.SimpleQueue()
        self._slots: dict[str, int] = {}
        self._tasks: dict[str, Task] = {}
        self._calls: dict[str, int] = {}
        self._put_off: set[str] = set()
        self._edits_wait = False
        self._opened_at_s = world.awake()
        for event in journal.events:
            self._take(event)

    @property
    def parked(self) -> str:
        """Say for what the run waits since it could not go on; empty when it could."""
        return self.state.parked.reason if self.state.parked is not None else ""

    @property
    def plan(self) -> Plan:
        """The run's plan, with the items that are known by now."""
        return self.state.plan

    @property
    def started(self) -> RunStarted:
        """The first event, which pins everything."""
        if self.state.started is None:
            raise ValueError("the run has not started")
        return self.state.started

    def record(self, *events: Event, durable: bool = True) -> None:
        """Append to the journal, then take the events into the state and show them.

        What is not durable yet becomes so with the next durable event, or with `_settle`.
        """
        self._journal.append(events, durable=durable)
        self._unsettled = not durable
        for event in events:
            self._take(event)
            self._views.show(event, self.state)
            for listener in self.world.listeners:
                listener(event, self.state)

    def _settle(self) -> None:
        """Make durable what was recorded: before anything is started or waited for."""
        if self._unsettled:
            self._journal.sync()
            self._unsettled = False

    def _take(self, event: Event) -> None:
        self.state.apply(event)
        if isinstance(event, StageFinished) and event.outcome not in {Outcome.LOST, Outcome.PARKED}:
            self._calls[event.stage] = self._calls.get(event.stage, 0) + 1

    def take_in_edits(self) -> None:
        """Take in what a person edited, unless stages still run that began before.

        Then those end first.
        """
        self._edits_wait = bool(self.state.running) and person.has_edits(self.store, self.rundir)
        event = (
            None
            if self.state.running
            else person.take_in(self.world, self.store, self.rundir, self.state)
        )
        if event is None:
            return
        self.record(event)
        reached("person.recorded")
        person.put_aside(self.rundir)
        if self.state.end is None and (command := person.unverified(self.state, event)) is not None:
            self.take_back(command)

    def go(self, stop: Stop) -> None:
        """Work until the run is over, parked, or asked to stop.

        Raises `UsageProblem` for an unsound base.
        """
        self._take_requests()
        self._prepare()
        self._take_up_running()
        threading.Thread(target=_end_now, args=(stop, self.runner), daemon=True).start()
        while not self._step(stop):
            pass
        self._settle()
        self._views.write_all(self.state)
        if self.state.end is RunEnd.DONE:
            self.rundir.switch_latest()
            reached("latest.switched")

    def _prepare(self) -> None:
        """Give the stage runner the run's facts, and make sure the base can be tested before an agent is paid."""
        started = self.started
        objects.secure(self.world.user, self.store, started.base, started.run_id)
        self.store.set_ref(f"refs/runs/{started.run_id}/base", started.base, "")
        reached("base.pinned")
        self.runner.begin(started, self.store.tree_of(started.base))
        if self.state.end is None:
            note = sound.check_base(self.state, self.runner, self.world.clock)
            if isinstance(note, RunFinished | RunParked):
                self.record(note)
                self._views.write_all(self.state)
                raise sound.problem(self.state)
            if note is not None:
                self.record(note)
        reached("baseline.done")

    def _take_up_running(self) -> None:
        """Go on with the attempts that an earlier process left running."""
        for stage in list(self.state.running):
            node = self.plan.nodes[stage]
            event = next(
                event
                for event in reversed(self._journal.events)
                if isinstance(event, StageStarted) and event.stage == stage
            )
            if node.kind in {Kind.PUBLISH, Kind.PARALLEL}:
                reason = "the process that worked on it died"
                self._finish(
                    self._task(node, event, resumed=True),
                    Found(outcome=Outcome.LOST, reason=reason),
                )
            else:
                self._spawn(self._task(node, event, resumed=True))

    def _step(self, stop: Stop) -> bool:
        """Carry out what is to be done next; tell whether the loop is over."""
        if self.state.end is not None:
            return True
        if self._edits_wait and not self._tasks:
            self.take_in_edits()
        draining = stop.polite.is_set() or self._edits_wait
        awake_s = self._awake_s()
        parallel = self.world.settings.parallel or self.plan.parallel
        commands = decide(
            self.state, self.world.clock(), parallel, awake_s=awake_s, draining=draining
        )
        wake: datetime | None = None
        starting: list[Task] = []
        for command in commands:
            if isinstance(command, WaitUntil):
                wake = command.at
            elif isinstance(command, Start):
                starting.append(self._begin(self.plan.nodes[command.stage]))
            elif self._carry_out(command):
                return True
        self._settle()
        for task in starting:
            reached("stage.intended", task.node.id)
            self._spawn(task)
        if not self._tasks and draining:
            return True
        if commands and not self._tasks and wake is None:
            return False
        self._wait(wake, once=bool(self._tasks) or wake is not None)
        return False

    def _awake_s(self) -> float:
        """Say how long this process has been awake with the run; sleep does not count."""
        return self.world.awake() - self._opened_at_s

    def _carry_out(self, command: Command) -> bool:
        """Do one thing; tell whether it ends the loop."""
        event = event_of(command, self.state, self.world.clock())
        if event is not None:
            self.record(event)
            if isinstance(event, RoundStarted):
                reached("round.started")
        match command:
            case Cancel(stage=stage, park=park):
                self._put_off.update([stage] if park else [])
                self.runner.cancel(stage)
            case TakeBack():
                self.take_back(command)
            case Park(reason=reason, waits=waits):
                if waits is Waits.PERSON:
                    self.exit_code, self.mend = waits.value, mend_for_person(self.state)
                person = waits is Waits.PERSON
                self.record(
                    RunParked(at=self.world.clock(), reason=reason, mend=self.mend, person=person)
                )
                return True
            case Finish():
                reached("run.finished")
                return True
            case Rest():
                return True
            case _:
                pass
        return False

    def take_back(self, command: TakeBack) -> None:
        """Have stages run again, on a tree without their change."""
        self.record(
            recompose(self.store, self._journal.events, self.state, command, self.world.clock())
        )
        for stage in command.stages:
            self.bases.accepted(stage)

    def _begin(self, node: Node) -> Task:
        """Record that an attempt begins, and take a free slot for it."""
        slot = next(
            number for number in range(len(self._slots) + 1) if number not in self._slots.values()
        )
        memory = self.state.nodes[node.id]
        loop = next(self.plan.loops_around(node.id), None)
        base = self.store_tree()
        start = base
        if (
            memory.last is not None
            and memory.tries
            and memory.last.kind is FailureKind.GATE
            and memory.last.tree
        ):
            start = memory.last.tree
        event = StageStarted(
            at=self.world.clock(),
            stage=node.id,
            attempt=memory.attempts + 1,
            round=self.state.nodes[loop.id].round if loop is not None else 1,
            slot=slot,
            tree=base,
            start_tree="" if start == base else start,
        )
        self._slots[node.id] = slot
        self.record(event, durable=False)
        return self._task(node, event, resumed=False)

    def store_tree(self) -> str:
        """Return the run's newest tree."""
        return self.state.tree or self.runner.base_tree

    def _task(self, node: Node, event: StageStarted, *, resumed: bool) -> Task:
        call = self._calls.get(node.id, 0) + 1
        return task_of(
            self.state, self.rundir, node, event, base=self.started.base, call=call, resumed=resumed
        )

    def _spawn(self, task: Task) -> None:
        self._slots[task.node.id] = task.slot
        self._tasks[task.node.id] = task
        if task.node.kind is Kind.PUBLISH:
            self._inbox.put((task, self._publish(task.node)))
            return
        threading.Thread(
            target=lambda: self._inbox.put((task, self.runner.run(task))), daemon=True
        ).start()

    def _publish(self, node: Node) -> Found:
        """Publish in this thread, which owns the journal."""
        publisher = Publisher(
            self.world, self.rundir, self.plan, self.store, self.state, self.record
        )
        paths = [self.rundir.lock(f"{name}.lock") for name in node.locks]
        try:
            with locks.hold(
                paths,
                run_id=self.started.run_id,
                agent="engine",
                stage=node.id,
                timeout_s=self.world.settings.lock_timeout_s,
            ):
                return Found(outcome=Outcome.DONE, reason=publisher.publish(node), agent="engine")
        except Problem as exc:
            parked = exc.exit_code in {2, 75}
            self.exit_code = exc.exit_code
            outcome = Outcome.PARKED if parked else Outcome.FAILED
            return Found(outcome=outcome, kind=FailureKind.MISSING, reason=exc.what, mend=exc.mend)

    def _wait(self, wake: datetime | None, *, once: bool) -> None:
        """Take in the next finished attempt.

        Look in between whether somebody asked for a cancel.
        """
        if not once:
            return
        wait_s = _LOOK_S
        if wake is not None:
            wait_s = min(wait_s, max(0.0, (wake - self.world.clock()).total_seconds()))
        with contextlib.suppress(queue.Empty):
            self._finish(*self._inbox.get(timeout=wait_s))
            while True:
                self._finish(*self._inbox.get_nowait())
        self._take_requests()

    def _take_requests(self) -> None:
        """Record what persons have asked for meanwhile."""
        for path, event in inbox.waiting(self.rundir):
            self.record(event)
            path.unlink()

    def _finish(self, task: Task, found: Found) -> None:
        """Make what an attempt found true: commit, ref, event."""
        self._slots.pop(task.node.id, None)
        self._tasks.pop(task.node.id, None)
        self.mend = found.mend or self.mend
        tree, commit = found.tree, ""
        if found.outcome is Outcome.DONE:
            self._views.accept(task.node, task.attempt)
            self.bases.accepted(task.node.id)
            tree, commit = self._put_on_top(task, found)
        outcome = self._outcome(task.node.id, found.outcome)
        now = self.world.clock()
        again = outcome is Outcome.FAILED and found.kind is FailureKind.TRANSIENT
        delay_s = retry_delay_s(self.state.nodes[task.node.id].tries + 1) if again else 0.0
        delay_s = (
            5.0 if outcome is Outcome.PARKED and found.kind is not FailureKind.QUOTA else delay_s
        )
        later = found.retry_after or (now + timedelta(seconds=delay_s) if delay_s else None)
        self.record(
            StageFinished(
                at=now,
                stage=task.node.id,
                attempt=task.attempt,
                outcome=outcome,
                reason=found.reason,
                kind=found.kind,
                tree=tree,
                commit=commit,
                changed=found.changed,
                formatted=found.formatted,
                gates=found.gates,
                outputs=found.outputs,
                usage=found.usage,
                agent=found.agent,
                duration_s=found.duration_s,
                retry_after=later,
                values=found.values,
                basis=self.bases.of(self.state, task.node) if outcome is Outcome.DONE else Basis(),
                awake_s=round(self._awake_s(), 3),
            ),
            durable=False,
        )
        reached("stage.recorded", task.node.id)

    def _outcome(self, stage: str, outcome: Outcome) -> Outcome:
        """Tell an attempt that was ended for good from one that was only stopped with the process, or put off."""
        if outcome is not Outcome.CANCELLED:
            return outcome
        wanted = (
            self.state.cancel is not None
            or stage in self.state.ending
            or self.state.sent_back is not None
        )
        put_off = stage in self._put_off
        self._put_off.discard(stage)
        return Outcome.CANCELLED if wanted and not put_off else Outcome.PARKED

    def _put_on_top(self, task: Task, found: Found) -> tuple[str, str]:
        """Put an accepted change on top of the run's tree.

        Return tree and commit, or nothing without a change.
        """
        if not found.changed:
            return "", ""
        current = self.store_tree()
        tree = (
            found.tree
            if current == task.tree
            else self.store.graft_paths(current, found.tree, set(found.changed))
        )
        commit = stage_commit(self.store, self.started, task, found.agent, tree, self.state.commit)
        reached("stage.committed", task.node.id)
        self.store.set_ref(stage_ref(self.started.run_id, task), commit, NO_COMMIT)
        reached("stage.ref_set", task.node.id)
        return tree, commit


def _end_now(stop: Stop, runner: StageRunner) -> None:
    stop.now.wait()
    runner.stop()
