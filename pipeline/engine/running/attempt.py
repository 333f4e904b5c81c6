"""One attempt of one stage: prompt, agent, harvest, gates; in a worker thread, on one workspace.

What it comes to is an `AttemptResult`; the run's loop turns it into commits, refs and events. An
attempt that an earlier process started is taken up where that process died: its shim is waited for,
not run again.
"""

import threading
from pathlib import Path

from msgspec.structs import replace

from pipeline.backends import table as backends
from pipeline.backends.base import (
    AgentReply,
    Backend,
    CallEnd,
    Failed,
    Finished,
    Request,
    failure_from_ending,
)
from pipeline.core.events import RunStarted, Usage
from pipeline.core.excerpt import excerpt
from pipeline.core.outcomes import ENGINE, Outcome, StopReason
from pipeline.engine.ground.flows import PROMPTS
from pipeline.engine.ground.world import World
from pipeline.engine.running import inputs
from pipeline.engine.running.acceptance import Acceptance, readable
from pipeline.engine.running.leaks import remove_secrets
from pipeline.engine.running.task import AttemptResult, Task
from pipeline.engine.running.workspaces import Workspaces
from pipeline.errors import Busy, Interrupted, Problem, of_storage
from pipeline.files import atomic
from pipeline.files.failpoints import reached
from pipeline.files.locks import LockBusy
from pipeline.files.rundir import LAST_ROUND, RunDir
from pipeline.language.flow import FailureKind
from pipeline.language.plan import Kind, Node, Plan
from pipeline.process.commands import CommandRequest, Purpose
from pipeline.process.launch import Attempt, Launcher, ask_orphan_to_end, longest_s, wait_for_orphan
from pipeline.process.spec import ATTEMPT_ID_VARIABLE, STDERR, STDOUT, CommandEnding, ExitRecord
from pipeline.prompts import templates
from pipeline.repo.store import PinnedBase
from pipeline.repo.workspace import Workspace

_OUTPUT_MAX_BYTES = 1024 * 1024
_NOT_CALLED = Usage(input_tokens=0, output_tokens=0, cost_usd=0.0)
"""What an attempt has used that ended before its agent was started."""


class StageRunner:
    """Runs attempts of one run; every method but `cancel` and `stop` blocks."""

    def __init__(  # noqa: PLR0917 - what all attempts of a run share
        self,
        world: World,
        rundir: RunDir,
        started: RunStarted,
        plan: Plan,
        workspaces: Workspaces,
        launcher: Launcher,
        base: PinnedBase,
    ) -> None:
        """Take what all attempts of the run share."""
        self.world = world
        self.rundir = rundir
        self.started = started
        self.plan = plan
        self.workspaces = workspaces
        self.bench = workspaces.bench
        self.store = workspaces.bench.store
        self.launcher = launcher
        self.base = base
        self.acceptance = Acceptance(world, rundir, plan, workspaces, base)
        self.templates = templates.read_all(rundir.flow / PROMPTS)
        self._running: dict[str, Attempt] = {}
        self._adopted: dict[str, Path] = {}
        self._cancelled: set[str] = set()
        self._stopping = threading.Event()

    def cancel(self, stage: str) -> None:
        """End a stage's attempt; `run` then returns. May be called any number of times."""
        self._cancelled.add(stage)
        if attempt := self._running.get(stage):
            attempt.cancel()
        if folder := self._adopted.get(stage):
            ask_orphan_to_end(folder)

    def stop(self) -> None:
        """End everything that runs, and let no test run start."""
        self._stopping.set()
        self.workspaces.stop()
        for stage in list(self._running):
            self.cancel(stage)

    def remove_secrets(self, task: Task, result: AttemptResult) -> None:
        """Remove what an attempt left of secrets in workspace and folder, unless it may go on."""
        may_go_on = result.outcome is Outcome.PARKED and result.stop is not StopReason.QUOTA_USED_UP
        if may_go_on or task.node.kind in {Kind.PUBLISH, Kind.PARALLEL}:
            return
        remove_secrets(self.world.redactor, self.rundir.attempt(task.node.id, task.attempt))
        self.workspaces.remove_secrets(task.slot)

    def run(self, task: Task) -> AttemptResult:
        """Make one attempt, gates included. What goes wrong is part of the result.

        Only `NoStorage` is raised: what the agent did is there, for the next process to take up.
        A cancel of an earlier attempt is over; whoever wants this one to end says so again.
        """
        started_s = self.world.awake()
        self._cancelled.discard(task.node.id)
        result = self._guarded(task)
        return replace(result, duration_s=round(self.world.awake() - started_s, 3))

    def _guarded(self, task: Task) -> AttemptResult:
        if task.problem:
            return replace(_missing(task.problem), usage=_NOT_CALLED)
        try:
            if task.node.kind is Kind.PARALLEL:
                return self._check_group(task)
            return self._run_command(task)
        except Exception as exc:
            if (problem := of_storage(exc)) is not None:
                raise problem from exc
            was_called = task.is_resumed or self._running.pop(task.node.id, None) is not None
            return replace(_ended_by(exc), usage=Usage() if was_called else _NOT_CALLED)

    def _check_group(self, task: Task) -> AttemptResult:
        """Check a group's own gates, once all its stages are done."""
        findings = tuple(self.rundir.accepted(stage) / file for stage, file in task.findings)
        result = AttemptResult(outcome=Outcome.DONE, tree=task.tree, agent=ENGINE)
        return self.acceptance.check_gates(task, result, findings)

    def _run_command(self, task: Task) -> AttemptResult:
        folder = self.rundir.attempt(task.node.id, task.attempt)
        if task.node.gates_first and not task.is_resumed:
            looked, task = self._gates_first(task)
            if looked is not None:
                return looked
        workspace = self.workspaces.workspace(task.slot)
        backend = backends.load(self._backend_name(task.node)) if task.node.player else None
        request = self._request(task, folder)
        if task.is_resumed:
            record = self._take_up(task, folder, workspace)
        else:
            record = self._launch(task, folder, workspace, backend, request)
        reached("stage.exited", task.node.id)
        if record is None:
            reason = "its process died without a record (the machine, or a kill)"
            return AttemptResult(outcome=Outcome.LOST, reason=reason)
        if record.ending is CommandEnding.LOCKED:
            hint = record.lock.hint if record.lock is not None else ""
            return AttemptResult(
                outcome=Outcome.PARKED,
                stop=StopReason.LOCK_HELD,
                reason=record.reason,
                hint=hint,
            )
        reply = self._reply(folder, backend, request, record)
        if record.ending in {CommandEnding.CANCELLED, CommandEnding.ORPHANED}:
            reason = "ended on request"
            return AttemptResult(outcome=Outcome.CANCELLED, reason=reason, usage=reply.usage)
        return self._judge(task, folder, workspace, reply)

    def _gates_first(self, task: Task) -> tuple[AttemptResult | None, Task]:
        """Ask the gates before the agent.

        Return the result if it needs no agent, and the task with what they found.
        """
        result = AttemptResult(
            outcome=Outcome.DONE, tree=task.tree, agent=ENGINE, usage=_NOT_CALLED
        )
        looked = self.acceptance.check_gates(task, result, ())
        if looked.outcome is Outcome.DONE or task.brief is None:
            return looked, task
        found = [line for gate in looked.gates for line in gate.failures]
        folder = self.acceptance.last_round(task)
        rounds = tuple(dict.fromkeys((folder, *task.last_rounds)))
        files = [*task.brief.inputs, *inputs.files_of_round(self.plan, folder)]
        files = list({str(one): one for one in files}.values())
        brief = replace(task.brief, feedback=[*task.brief.feedback, *found], inputs=files)
        return None, replace(task, last_rounds=rounds, brief=brief)

    def _judge(
        self, task: Task, folder: Path, workspace: Workspace, reply: AgentReply
    ) -> AttemptResult:
        """Judge what the agent did; what it has used counts whatever happens on the way."""
        try:
            return self.acceptance.judge(task, folder, workspace, reply)
        except Exception as exc:
            if of_storage(exc) is not None:
                raise
            return replace(_ended_by(exc), usage=reply.usage)

    def _backend_name(self, node: Node) -> str:
        if self.started.cassette:
            return "cassette"
        return node.player.backend if node.player else "command"

    def _request(self, task: Task, folder: Path) -> Request | None:
        if task.node.player is None:
            return None
        return Request(
            stage=task.node.id,
            mode=task.node.mode,
            player=task.node.player,
            call=task.call,
            prompt_file=folder / "prompt.md",
            result_file=folder / "result.json",
            cassette=self.started.cassette,
            writes=bool(task.node.writes),
            folders=(folder / "out", folder / "in"),
            commands=tuple(
                command
                for target in self.plan.targets
                for command in (target.test.command, *target.checks, *target.format)
            ),
        )

    def _launch(
        self,
        task: Task,
        folder: Path,
        workspace: Workspace,
        backend: Backend | None,
        request: Request | None,
    ) -> ExitRecord | None:
        """Prepare workspace, inputs and prompt, and run the command under its shim to its end."""
        node = task.node
        workspace.prepare(*self._seen(task), setup_tree=task.start_tree, reads=node.reads)
        self.workspaces.note_sizes()
        for name in ("out", "in"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._lay_out_inputs(task, folder / "in")
        command = self._command(task, folder, workspace, backend, request)
        attempt = self.launcher.launch(self.workspaces.commands.make(command))
        self._running[node.id] = attempt
        reached("stage.launched", node.id)
        if node.id in self._cancelled or self._stopping.is_set():
            attempt.cancel()
        record = attempt.wait()
        del self._running[node.id]
        return record

    def _lay_out_inputs(self, task: Task, folder: Path) -> None:
        """Put everything that a stage is given to read into its input folder."""
        inputs.lay_out(self.rundir, folder, task.inputs, task.last_rounds)
        if task.brief is None:
            return
        for file in (str(one) for one in task.brief.inputs):
            if file == inputs.CHANGE:
                patch = self.store.patch(self.base.tree, task.tree)
                atomic.write_bytes(folder / file, patch, durable=False)
            elif file == inputs.NEW_TESTS:
                atomic.write_text(folder / file, task.tests_text, durable=False)
            elif file == f"{LAST_ROUND}/{inputs.SINCE}":
                refused = inputs.refused_tree(task.last_rounds[0])
                patch = self.store.patch(refused, task.start_tree)
                atomic.write_bytes(folder / file, patch, durable=False)

    def _command(
        self,
        task: Task,
        folder: Path,
        workspace: Workspace,
        backend: Backend | None,
        request: Request | None,
    ) -> CommandRequest:
        """Return the stage's command: its own, or its back end's, with the prompt written."""
        node, player = task.node, task.node.player
        argv: tuple[str, ...] = ("sh", "-ec", node.command)
        stdin, variables = None, dict[str, str]()
        if backend is not None and request is not None and task.brief is not None and player:
            folders = {"input_dir": str(folder / "in"), "output_dir": str(folder / "out")}
            brief = replace(task.brief, **folders)
            prompt = templates.render(self.templates, player.prompt, brief)
            atomic.write_text(request.prompt_file, prompt, durable=False)
            asked = backend.command(request)
            argv, stdin, variables = asked.argv, asked.stdin, asked.env
        return CommandRequest(
            purpose=Purpose.STAGE,
            argv=argv,
            cwd=workspace.folder,
            folder=folder,
            stdin=stdin,
            timeout_s=node.timeout_s,
            idle_timeout_s=node.idle_timeout_s,
            pass_env=player.pass_env if player is not None else (),
            variables={**variables, **self._stage_variables(task, folder), **task.env},
            programs=workspace.program_folders(),
            port_base=workspace.port_base,
            locks=tuple(
                path
                for name in node.locks
                for path in self.rundir.locks(name, self.plan.locks[name].scope)
            ),
            agent=player.role if player is not None else node.id,
            stage=node.id,
        )

    def _take_up(self, task: Task, folder: Path, workspace: Workspace) -> ExitRecord | None:
        """Wait for the shim of an earlier process."""
        self._adopted[task.node.id] = folder
        longest = longest_s(task.node.timeout_s, self.world.settings.lock_timeout_s)
        cwd = str(workspace.folder)
        record = wait_for_orphan(folder, self._stopping, cwd=cwd, longest_s=longest)
        del self._adopted[task.node.id]
        if self._stopping.is_set():
            raise Interrupted("stopped while waiting for a stage that an earlier process started")
        if record is not None:
            workspace.resume(self._seen(task)[1])
        return record

    def _seen(self, task: Task) -> tuple[str, str]:
        """Return commit and tree that the stage sees: the run's, or only what it may read of it."""
        if task.node.reads is None:
            return task.commit, task.start_tree
        before, started = readable(self.store, task, task.tree), self.started
        message = "What this stage may read\n"
        commit = self.store.commit(
            before, task.commit, message, author=started.author, at=started.at
        )
        return commit, readable(self.store, task, task.start_tree)

    def _stage_variables(self, task: Task, folder: Path) -> dict[str, str]:
        return {
            "PIPELINE_RUN_ID": self.rundir.run_id,
            "PIPELINE_STAGE": task.node.id,
            "PIPELINE_MODE": task.node.mode,
            "PIPELINE_ATTEMPT": str(task.attempt),
            "PIPELINE_ROUND": str(task.round),
            "PIPELINE_OUTPUT_DIR": str(folder / "out"),
            "PIPELINE_INPUT_DIR": str(folder / "in"),
            "PIPELINE_RESULT": str(folder / "result.json"),
            ATTEMPT_ID_VARIABLE: f"{self.rundir.run_id}/{task.node.id}/{task.attempt}",
            **_limit_variables(task.node),
        }

    def _reply(
        self, folder: Path, backend: Backend | None, request: Request | None, record: ExitRecord
    ) -> AgentReply:
        stdout, stderr = _tail(folder / STDOUT), _tail(folder / STDERR)
        if backend is not None and request is not None:
            return backend.reply(request, record, stdout, stderr)
        end: CallEnd = failure_from_ending(record) or Finished()
        if record.code != 0 and isinstance(end, Finished):
            output = excerpt(stderr or stdout)
            reason = f"exit status {record.code}" + (f": {output}" if output else "")
            end = Failed(kind=FailureKind.AGENT, reason=reason)
        return AgentReply(text=stdout, agent="sh", end=end)


def _ended_by(exc: Exception) -> AttemptResult:
    """Return what an attempt came to that an exception ended."""
    match exc:
        case Interrupted():
            return _parked(StopReason.INTERRUPTED, exc)
        case LockBusy():
            return _parked(StopReason.LOCK_HELD, exc)
        case Busy():
            return _parked(StopReason.NO_ROOM, exc)
        case Problem():
            return _missing(exc.what, exc.hint)
        case _:
            return _missing(f"an error in the pipeline itself: {type(exc).__name__}: {exc}")


def _missing(reason: str, hint: str = "") -> AttemptResult:
    return AttemptResult(outcome=Outcome.FAILED, kind=FailureKind.MISSING, reason=reason, hint=hint)


def _parked(stop: StopReason, exc: Problem) -> AttemptResult:
    return AttemptResult(outcome=Outcome.PARKED, stop=stop, reason=exc.what, hint=exc.hint)


def _limit_variables(node: Node) -> dict[str, str]:
    """Return the variables that name an attempt's limits."""
    limits = {
        "PIPELINE_LIMIT_USD": node.limits.usd,
        "PIPELINE_LIMIT_TOKENS": node.limits.tokens,
    }
    return {name: f"{value:g}" for name, value in limits.items() if value is not None}


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-_OUTPUT_MAX_BYTES:].decode("utf-8", "replace")
    except OSError:
        return ""
