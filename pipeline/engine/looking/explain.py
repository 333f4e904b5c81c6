"""Why a run or a stage stands where it stands.

What is missing, who holds it, since when, and what to do.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from pipeline.core.memory import OPEN, NodeState, Status
from pipeline.core.state import RunState
from pipeline.engine.ground.lookup import holder, load_state, require_run
from pipeline.engine.ground.world import World
from pipeline.engine.looking.result import diagnosis_of, run_state
from pipeline.files import locks
from pipeline.files.rundir import RunDir
from pipeline.language.plan import Kind, Node


class StatusReason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason for a stage's state, and what a person can do about it."""

    why: str
    next_command: str = ""


class ExplainedStage(msgspec.Struct, frozen=True, kw_only=True):
    """A stage with the reasons for its state."""

    stage: str
    state: str
    reasons: tuple[StatusReason, ...]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A run with the reasons for its state.

    `stages` are those that are not over, or the one that was asked for.
    """

    schema_version: int = 1
    run_id: str
    state: str
    reasons: tuple[StatusReason, ...]
    stages: tuple[ExplainedStage, ...]


def explain(world: World, name: str, stage: str) -> Explanation:
    """Explain a run, or one stage of it; `stage` must be one, if it is given."""
    rundir, state = require_run(world, name), load_state(world, name)
    is_alive = holder(world, name) is not None
    parallel = world.settings.parallel or state.plan.parallel
    looker = _Looker(state, rundir, world.clock(), parallel)
    wanted = [state.plan.nodes[stage]] if stage else list(_open(state))
    return Explanation(
        run_id=name,
        state=run_state(state, is_alive=is_alive),
        reasons=tuple(_of_run(state, rundir.folder, name, is_alive=is_alive)),
        stages=tuple(
            ExplainedStage(
                stage=node.id,
                state=state.nodes[node.id].status.value,
                reasons=tuple(looker.reasons(node)),
            )
            for node in wanted
        ),
    )


def _open(state: RunState) -> Iterator[Node]:
    """Go through the stages of the workflow that goes on now which are not over."""
    asked = {*state.agenda.unfolding, *state.agenda.conditions}
    for node in state.plan.nodes.values():
        is_open = (
            node.workflow == state.course.active
            and not state.nodes[node.id].is_over
            and state.end is None
        )
        if is_open and (node.is_leaf or node.gates or node.id in asked):
            yield node


def _of_run(state: RunState, run_dir: Path, name: str, *, is_alive: bool) -> Iterator[StatusReason]:
    if (found := diagnosis_of(state, run_dir)) is not None:
        first = f"; first step: {found.next_step}" if found.next_step else ""
        remedies = ", or: ".join(found.remedies)
        yield StatusReason(why=f"{found.stage} says: {found.cause}{first}", next_command=remedies)
    if state.end is not None:
        yield StatusReason(
            why=f"it is over: {state.end.value}" + (f"; {state.reason}" if state.reason else "")
        )
        return
    if state.course.failure is not None:
        yield StatusReason(why=f"it cannot succeed any more: {state.course.failure.reason}")
    for asked in state.agenda.asked.values():
        yield StatusReason(
            why=f"{asked.stage} asks: {asked.question}"
            + (f" (until {asked.until:%Y-%m-%d %H:%M} UTC)" if asked.until else ""),
            next_command=f"pipeline answer {name} approve, or: revise -m '...', or: stop",
        )
    if state.parked is not None and not is_alive and not state.agenda.asked:
        yield StatusReason(
            why=state.parked.reason, next_command=state.parked.hint or f"pipeline resume {name}"
        )
    elif not is_alive and not state.agenda.asked:
        yield StatusReason(why="no process works on it now", next_command=f"pipeline resume {name}")


class _Looker:
    """Looks at one run at one moment."""

    def __init__(self, state: RunState, rundir: RunDir, now: datetime, parallel: int) -> None:
        self.state = state
        self.rundir = rundir
        self.now = now
        self.parallel = parallel

    def reasons(self, node: Node) -> Iterator[StatusReason]:
        memory = self.state.nodes[node.id]
        if memory.status is Status.RUNNING and node.id in self.state.agenda.running:
            yield self._running(node, memory)
        elif memory.is_over or memory.status not in {*OPEN, Status.RUNNING}:
            yield StatusReason(
                why=memory.reason or memory.status.value, next_command=self._again(node, memory)
            )
        else:
            yield from self._missing(node, memory)

    def _again(self, node: Node, memory: NodeState) -> str:
        failed = memory.status in {Status.FAILED, Status.CANCELLED}
        return f"pipeline retry {self.rundir.run_id} {node.id}" if failed else ""

    def _running(self, node: Node, memory: NodeState) -> StatusReason:
        log = self.rundir.attempt(node.id, memory.attempts) / "stdout.log"
        return StatusReason(
            why=(
                f"attempt {memory.attempts} runs; its time limit is {node.timeout_s:g} s, its "
                f"output is in {log}"
            ),
            next_command=f"pipeline cancel {self.rundir.run_id} {node.id}",
        )

    def _missing(self, node: Node, memory: NodeState) -> Iterator[StatusReason]:
        """Go through everything that is missing, the group around first."""
        if memory.last is not None and memory.status is Status.WAITING and memory.reason:
            yield StatusReason(why=f"attempt {memory.attempts} ended: {memory.reason}")
        open_needs = [
            need
            for around in (node, *self.state.plan.around(node.id))
            for need in around.needs
            if not self.state.nodes[need].is_over
        ]
        if open_needs:
            words = ", ".join(
                f"{need} ({self.state.nodes[need].status.value})" for need in open_needs
            )
            yield StatusReason(
                why=f"it needs {words}",
                next_command=f"pipeline explain {self.rundir.run_id}/{open_needs[0]}",
            )
            return
        if self.state.course.is_stopped:
            yield StatusReason(
                why="nothing new is started, because the run cannot succeed any more"
            )
            return
        if node.id in self.state.agenda.asked:
            yield StatusReason(
                why=memory.reason,
                next_command=f"pipeline answer {self.rundir.run_id} approve|revise|stop",
            )
        if node.id in self.state.agenda.conditions:
            yield StatusReason(why=f"its condition `{node.when}` is asked next")
        if memory.not_before is not None and memory.not_before > self.now and not memory.parked:
            yield StatusReason(why=f"it waits until {memory.not_before:%Y-%m-%d %H:%M:%S} UTC")
        yield from self._contended(node)

    def _contended(self, node: Node) -> Iterator[StatusReason]:
        """Go through locks, budget and slots."""
        for lock in node.locks:
            if holders := [
                one for one in self.state.agenda.running if lock in self.state.plan.nodes[one].locks
            ]:
                yield StatusReason(why=f"the lock {lock} is held by {holders[0]} of this run")
            elif found := self._holder(lock):
                yield found
        if refusal := self.state.budget.refusal(node):
            yield StatusReason(
                why=refusal,
                next_command=f"pipeline resume {self.rundir.run_id} --usd N (or --tokens N)",
            )
        if len(self.state.agenda.running) >= self.parallel and node.kind is not Kind.APPROVAL:
            running = ", ".join(self.state.agenda.running)
            yield StatusReason(
                why=f"all {self.parallel} slots are taken: {running}",
                next_command="more at once: AGENT_PARALLEL_MAX=N",
            )

    def _holder(self, lock: str) -> StatusReason | None:
        """Return the reason of a lock that another run holds."""
        path, _ = self.rundir.locks(lock, self.state.plan.locks[lock].scope)
        view = locks.inspect(path) if path.exists() else None
        if view is None or not view.held or view.holder is None:
            return None
        who = view.holder
        holder = f"{who.agent} of run {who.run_id} (pid {who.pid})"
        return StatusReason(
            why=f"the lock {lock} is held by {holder} since {who.timestamp}",
            next_command=f"pipeline status {who.run_id}",
        )
