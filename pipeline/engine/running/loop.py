"""The loop of a run: decide, carry out, record; until there is nothing left to do.

One thread owns the record; stages run in worker threads and hand back what they came to. What a
stage came to becomes true in this order: commit, ref, event. Killed in between, the run takes up
there.
"""

import contextlib
import queue
import threading
from datetime import datetime

from pipeline.core.decide import Cancel, Command, Start, TakeBack, WaitUntil, decide
from pipeline.core.events import (
    Basis,
    RoundStarted,
    RunFinished,
    RunParked,
    StageFinished,
    StageStarted,
)
from pipeline.core.outcomes import Outcome, RunEnd, StopReason
from pipeline.core.retry import not_before
from pipeline.core.state import RunState
from pipeline.engine.ground import requests
from pipeline.engine.ground.record import Record
from pipeline.engine.ground.world import World
from pipeline.engine.running.acceptance import keep_outputs, keep_records
from pipeline.engine.running.attempt import StageRunner
from pipeline.engine.running.basis import Bases
from pipeline.engine.running.command_events import event_of
from pipeline.engine.running.commits import stage_commit, stage_ref
from pipeline.engine.running.edits import has_edits, take_in_edits
from pipeline.engine.running.publish_stage import Publish, publish_stage
from pipeline.engine.running.rerun import record_rerun
from pipeline.engine.running.task import AttemptResult, Task, task_of
from pipeline.errors import NoStorage
from pipeline.files.failpoints import reached
from pipeline.files.rundir import RunDir
from pipeline.language.flow import FailureKind
from pipeline.language.plan import Kind, Node
from pipeline.repo.store import NO_COMMIT, Store

_POLL_S = 0.25
_KEPT = {FailureKind.GATE, FailureKind.VIOLATION}
"""Failures after which the next attempt goes on from what the last one made, as far as lawful."""


class Stop:
    """How urgently a person wants the run to stop: not, politely, or now."""

    def __init__(self) -> None:
        """Start with not at all."""
        self.polite = threading.Event()
        self.now = threading.Event()

    def ask(self) -> None:
        """Ask once more: the first time politely, then now."""
        (self.now if self.polite.is_set() else self.polite).set()


class RunLoop:
    """Works on one run whose record is open; made by `starting/work` under the run's lock."""

    def __init__(  # noqa: PLR0917 - what the loop works with
        self,
        world: World,
        rundir: RunDir,
        record: Record,
        store: Store,
        runner: StageRunner,
        bases: Bases,
        publish: Publish,
    ) -> None:
        """`publish` publishes the run's tree, and records each step itself."""
        self.world = world
        self.rundir = rundir
        self.record = record
        self.store = store
        self.runner = runner
        self.bases = bases
        self._publish = publish
        self._results: queue.SimpleQueue[tuple[Task, AttemptResult | NoStorage]]
        self._results = queue.SimpleQueue()
        self._slots: dict[str, int] = {}
        self._tasks: dict[str, Task] = {}
        self._put_off: set[str] = set()
        self._edits_wait = False
        self._opened_at_s = world.awake()

    @property
    def state(self) -> RunState:
        """Where the run stands."""
        return self.record.state

    def run(self, stop: Stop) -> None:
        """Work until the run is over, parked, or asked to stop."""
        if self.state.end is None:
            self._edits_wait = has_edits(self.store, self.rundir, self.world.redactor)
        self._take_up_running()
        threading.Thread(target=_end_now, args=(stop, self.runner), daemon=True).start()
        while not self._step(stop):
            pass
        if stop.polite.is_set() and self.state.end is None:
            reason = "it was stopped; everything done is kept"
            self._note_stop(reason)
        self.record.sync()
        if self.state.end is RunEnd.DONE:
            self.rundir.switch_latest()
            reached("latest.switched")

    def take_requests(self) -> None:
        """Record what persons have asked for meanwhile."""
        for path, event in requests.waiting(self.rundir):
            self.record.add(event)
            path.unlink()

    def _note_stop(self, reason: str) -> None:
        if self.state.parked is None:
            stop = StopReason.INTERRUPTED
            self.record.add(RunParked(at=self.world.clock(), stop=stop, reason=reason))

    def _take_up_running(self) -> None:
        """Go on with the attempts that an earlier process left running."""
        for stage in list(self.state.agenda.running):
            node = self.state.plan.nodes[stage]
            event = next(
                event
                for event in reversed(self.record.events)
                if isinstance(event, StageStarted) and event.stage == stage
            )
            task = self._task(node, event, is_resumed=True)
            if node.kind in {Kind.PUBLISH, Kind.PARALLEL}:
                reason = "the process that worked on it died"
                self._finish(task, AttemptResult(outcome=Outcome.LOST, reason=reason))
            else:
                self._spawn(task)

    def _step(self, stop: Stop) -> bool:
        """Carry out what is to be done next; return whether the loop is over."""
        if self.state.end is not None:
            return True
        if self._edits_wait and not self._tasks:
            take_in_edits(self.world, self.store, self.rundir, self.record, self.bases)
            self._edits_wait = False
        draining = stop.polite.is_set() or self._edits_wait
        parallel = self.world.settings.parallel or self.state.plan.parallel
        now, awake_s = self.world.clock(), self._awake_s()
        commands = decide(self.state, now, parallel, awake_s=awake_s, draining=draining)
        wake: datetime | None = None
        starting: list[Task] = []
        for command in commands:
            if isinstance(command, WaitUntil):
                wake = command.at
            elif isinstance(command, Start):
                starting.append(self._begin(self.state.plan.nodes[command.stage]))
            elif self._carry_out(command):
                return True
        self.record.sync()
        for task in starting:
            reached("stage.intended", task.node.id)
            self._spawn(task)
        if not self._tasks and draining:
            return True
        if self._tasks or wake is not None or not commands:
            self._wait(wake)
        return False

    def _awake_s(self) -> float:
        """Return how long this process has been awake with the run; sleep does not count."""
        return self.world.awake() - self._opened_at_s

    def _carry_out(self, command: Command) -> bool:
        """Do one thing; return whether it ends the loop."""
        match command:
            case Cancel(stage=stage, park=park):
                self._put_off.update([stage] if park else [])
                self.runner.cancel(stage)
                return False
            case TakeBack():
                record_rerun(self.store, self.record, self.bases, command, self.world.clock())
                return False
            case _:
                pass
        event = event_of(command, self.state, self.world.clock())
        if event is None:  # nothing is left to do
            return True
        self.record.add(event)
        if isinstance(event, RoundStarted):
            reached("round.started")
        if isinstance(event, RunFinished):
            reached("run.finished")
        return isinstance(event, RunFinished | RunParked)

    def _begin(self, node: Node) -> Task:
        """Record that an attempt begins, and take a free slot for it."""
        taken = set(self._slots.values())
        slot = next(number for number in range(len(taken) + 1) if number not in taken)
        memory = self.state.nodes[node.id]
        loop = next(self.state.plan.loops_around(node.id), None)
        base = self._newest_tree()
        start, last = base, memory.last
        if last is not None and memory.used.tries and last.kind in _KEPT and last.tree:
            start = last.tree
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
        self.record.add(event, durable=False)
        return self._task(node, event, is_resumed=False)

    def _newest_tree(self) -> str:
        return self.state.product.tree or self.runner.base.tree

    def _task(self, node: Node, event: StageStarted, *, is_resumed: bool) -> Task:
        return task_of(self.state, self.rundir, node, event, is_resumed=is_resumed)

    def _spawn(self, task: Task) -> None:
        self._slots[task.node.id] = task.slot
        self._tasks[task.node.id] = task
        if task.node.kind is Kind.PUBLISH:  # in this thread, which owns the record
            result = publish_stage(self.world, self.rundir, self.state, task.node, self._publish)
            self._results.put((task, result))
            return
        threading.Thread(target=self._run, args=(task,), daemon=True).start()

    def _run(self, task: Task) -> None:
        """Make an attempt, in a thread of its own."""
        try:
            self._results.put((task, self.runner.run(task)))
        except NoStorage as exc:
            self._results.put((task, exc))

    def _wait(self, wake: datetime | None) -> None:
        """Take in finished attempts, and look in between for requests."""
        wait_s = _POLL_S
        if wake is not None:
            wait_s = min(wait_s, max(0.0, (wake - self.world.clock()).total_seconds()))
        with contextlib.suppress(queue.Empty):
            self._finish(*self._results.get(timeout=wait_s))
            while True:
                self._finish(*self._results.get_nowait())
        self.take_requests()

    def _finish(self, task: Task, result: AttemptResult | NoStorage) -> None:
        """Make what an attempt came to true: commit, ref, event.

        Raises `NoStorage` where the disk does not let it: the attempt is not over then.
        """
        if isinstance(result, NoStorage):
            raise result
        node = task.node
        self._slots.pop(node.id, None)
        self._tasks.pop(node.id, None)
        tree, commit = result.tree, ""
        if result.outcome is Outcome.DONE:
            keep_outputs(self.rundir, node, task.attempt)
            self.bases.forget_outputs(node.id)
            tree, commit = self._put_on_top(task, result)
            keep_records(self.rundir, self.store, node, self.state.plan.records, result)
        outcome, stop = self._outcome(node.id, result)
        now = self.world.clock()
        tries = self.state.nodes[node.id].used.tries + 1
        later = not_before(outcome, result.kind, tries=tries, now=now, reported=result.retry_after)
        event = StageFinished(
            at=now,
            stage=node.id,
            attempt=task.attempt,
            outcome=outcome,
            reason=result.reason,
            kind=result.kind,
            stop=stop,
            hint=result.hint,
            violations=result.violations,
            tree=tree,
            commit=commit,
            changed=result.changed,
            formatted=result.formatted,
            partly_formatted=result.partly_formatted,
            dropped=result.dropped,
            ignored=result.ignored,
            gates=result.gates,
            outputs=result.outputs,
            usage=result.usage,
            agent=result.agent,
            duration_s=result.duration_s,
            retry_after=later,
            values=result.values,
            basis=self.bases.of(self.state, node) if outcome is Outcome.DONE else Basis(),
            awake_s=round(self._awake_s(), 3),
        )
        self.record.add(event, durable=False)
        reached("stage.recorded", node.id)
        self.runner.remove_secrets(task, result)

    def _outcome(self, stage: str, result: AttemptResult) -> tuple[Outcome, StopReason | None]:
        """Distinguish an attempt that was cancelled from one that was only put off, and why."""
        if result.outcome is not Outcome.CANCELLED:
            return result.outcome, result.stop
        wanted = self.state.requests
        is_final = (
            wanted.cancel is not None
            or stage in wanted.cancelled_stages
            or wanted.revision is not None
        )
        if stage in self._put_off:
            self._put_off.discard(stage)
            return Outcome.PARKED, StopReason.LIMIT_REACHED
        if is_final:
            return Outcome.CANCELLED, None
        return Outcome.PARKED, StopReason.INTERRUPTED

    def _put_on_top(self, task: Task, result: AttemptResult) -> tuple[str, str]:
        """Put an accepted change on top of the run's tree; return tree and commit, or nothing."""
        if not result.changed:
            return "", ""
        current, tree = self._newest_tree(), result.tree
        if current != task.tree:
            tree = self.store.graft_paths(current, result.tree, set(result.changed))
        started, parent = self.state.started, self.state.product.commit
        commit = stage_commit(self.store, started, task, result.agent, tree, parent)
        reached("stage.committed", task.node.id)
        name = stage_ref(started.run_id, task)
        # One that is there is of a process that died before it recorded this attempt. Meanwhile
        # another stage may have come first, and then the commit has another parent.
        old = self.store.ref(name) if task.is_resumed else ""
        self.store.set_ref(name, commit, old or NO_COMMIT)
        reached("stage.ref_set", task.node.id)
        return tree, commit


def _end_now(stop: Stop, runner: StageRunner) -> None:
    stop.now.wait()
    runner.stop()
