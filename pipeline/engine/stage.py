"""One attempt of one stage: prompt, agent, harvest, gates; in a worker thread, on one workspace.

What is found here is a `Found`; the run's loop turns it into commits, refs and events. An attempt
that an earlier process started is taken up where that process died: its shim is waited for, not run
again.
"""

import threading
from datetime import timedelta
from pathlib import Path

import msgspec

from pipeline import backends, gates, prompts
from pipeline.backends.base import Answer, Backend, Request, failed_ending
from pipeline.core import redact
from pipeline.core.events import GateResult, Outcome, RunStarted
from pipeline.core.excerpt import excerpt
from pipeline.engine import instead, keys, outputs
from pipeline.engine.places import Places
from pipeline.engine.style import formatted
from pipeline.engine.task import Found, Task, facts_of
from pipeline.engine.world import World
from pipeline.errors import Busy, Interrupted, Problem
from pipeline.files import atomic
from pipeline.files.clocks import awake_s
from pipeline.files.failpoints import reached
from pipeline.files.rundir import RunDir, copy_outputs
from pipeline.gates.base import GateContext
from pipeline.gates.bench import Bench
from pipeline.ids import lock_file_name
from pipeline.language.flow import FailureKind, GateName
from pipeline.language.plan import Kind, Node, Plan
from pipeline.process.launch import Attempt, Launcher, adopt, ask_orphan_to_end
from pipeline.process.spec import STDERR, STDOUT, TAG, Ending, ExitRecord, LaunchSpec
from pipeline.repo.workspace import Workspace

_ANSWER_MAX_BYTES = 1024 * 1024
_RULES = ("**/.gitattributes", "**/.gitignore")
"""They decide which files are stored, and how."""


class StageRunner:
    """Runs attempts of one run; every method but `cancel` and `stop` blocks."""

    def __init__(
        self,
        world: World,
        rundir: RunDir,
        plan: Plan,
        places: Places,
        launcher: Launcher,
        bench: Bench,
    ) -> None:
        """Take what all attempts of the run share."""
        self.world = world
        self.rundir = rundir
        self.plan = plan
        self.places = places
        self.store = bench.store
        self.launcher = launcher
        self.bench = bench
        self.templates = prompts.read_all(rundir.flow / "agent_prompts")
        self.started: RunStarted | None = None
        self.base_tree = ""
        self._running: dict[str, Attempt] = {}
        self._adopted: dict[str, Path] = {}
        self._cancelled: set[str] = set()
        self._stopping = threading.Event()

    def begin(self, started: RunStarted, base_tree: str) -> None:
        """Take the run's facts; nothing runs before that."""
        self.started, self.base_tree = started, base_tree
        self.places.begin(started.base, base_tree)

    @property
    def _cassette(self) -> str:
        return self.started.cassette if self.started is not None else ""

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
        self.places.stop()
        self.bench.stop()
        for stage in list(self._running):
            self.cancel(stage)

    def run(self, task: Task) -> Found:
        """Make one attempt, gates included. Never raises.

        What goes wrong is part of what was found.

        A cancel of an earlier attempt is over; whoever wants this one to end says so again.
        """
        started = awake_s()
        self._cancelled.discard(task.node.id)
        found = self._guarded(task)
        return msgspec.structs.replace(found, duration_s=round(awake_s() - started, 3))

    def _guarded(self, task: Task) -> Found:
        if task.problem:
            return Found(outcome=Outcome.FAILED, kind=FailureKind.MISSING, reason=task.problem)
        try:
            return self._group(task) if task.node.kind is Kind.PARALLEL else self._command(task)
        except (Interrupted, Busy) as exc:
            return Found(outcome=Outcome.PARKED, reason=exc.what, mend=exc.mend)
        except Problem as exc:
            return Found(
                outcome=Outcome.FAILED, kind=FailureKind.MISSING, reason=exc.what, mend=exc.mend
            )
        except Exception as exc:  # noqa: BLE001 - the stage boundary: a fault of one stage is that stage's failure
            reason = f"a fault of the pipeline itself: {type(exc).__name__}: {exc}"
            return Found(outcome=Outcome.FAILED, kind=FailureKind.MISSING, reason=reason)

    def _group(self, task: Task) -> Found:
        """Check a group's own gates, once all its stages are done."""
        findings = tuple(self.rundir.accepted(stage) / file for stage, file in task.findings)
        return self._gated(
            task, Found(outcome=Outcome.DONE, tree=task.tree, agent="engine"), task.tree, findings
        )

    def _command(self, task: Task) -> Found:
        folder = self.rundir.attempt(task.node.id, task.attempt)
        workspace = self.places.workspace(task.slot)
        backend = backends.load(self._backend_name(task.node)) if task.node.player else None
        request = self._request(task, folder)
        record = (
            self._take_up(task, folder, workspace)
            if task.resumed
            else self._launch(task, folder, workspace, backend, request)
        )
        reached("stage.exited", task.node.id)
        if record is None:
            return Found(
                outcome=Outcome.LOST,
                reason="its process died without a record (the machine, or a kill)",
            )
        if record.ending is Ending.LOCKED:
            return Found(outcome=Outcome.PARKED, reason=record.reason, mend=record.mend)
        if record.ending in {Ending.CANCELLED, Ending.ORPHANED}:
            return Found(outcome=Outcome.CANCELLED, reason="ended on request")
        answer = self._answer(folder, backend, request, record)
        answer = keys.without(self._keys(task), answer, folder / "result.json")
        return self._judge(task, folder, workspace, answer)

    def _backend_name(self, node: Node) -> str:
        if self._cassette:
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
            cassette=self._cassette,
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
        workspace.prepare(*self._seen(task), whole=task.start_tree, reads=task.node.reads)
        self.places.note_sizes()
        for name in ("out", "in", "home"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        inputs = self._lay_out_inputs(task, folder / "in")
        argv: tuple[str, ...] = ("sh", "-c", node.command)
        stdin, env = "", self.world.child_env()
        if backend is not None and request is not None and node.player is not None:
            atomic.write_text(request.prompt_file, self._prompt(task, inputs), durable=False)
            command = backend.command(request)
            argv, stdin = command.argv, str(command.stdin or "")
            env = {**self.world.child_env(node.player.pass_env), **command.env}
        env = {"HOME": str(folder / "home"), **env, **self._stage_env(task, folder), **task.env}
        env = workspace.tools(env)
        attempt = self.launcher.launch(
            LaunchSpec(
                argv=argv,
                cwd=str(workspace.folder),
                env=env,
                folder=str(folder),
                stdin=stdin,
                timeout_s=node.timeout_s,
                idle_timeout_s=node.idle_timeout_s,
                locks=tuple(str(path) for path in self._lock_paths(node)),
                lock_timeout_s=self.world.settings.lock_timeout_s,
                run_id=self.rundir.run_id,
                agent=node.player.role if node.player else node.id,
                stage=node.id,
                secrets=(*redact.secrets(env), *self.places.included.secrets()),
                portable=self.world.settings.portable,
            )
        )
        self._running[node.id] = attempt
        reached("stage.launched", node.id)
        if node.id in self._cancelled or self._stopping.is_set():
            attempt.cancel()
        record = attempt.wait()
        del self._running[node.id]
        return record

    def _take_up(self, task: Task, folder: Path, workspace: Workspace) -> ExitRecord | None:
        self._adopted[task.node.id] = folder
        record = adopt(folder, self._stopping)
        del self._adopted[task.node.id]
        if self._stopping.is_set():
            raise Interrupted("stopped while waiting for a stage that an earlier process started")
        if record is not None:
            workspace.take_up(self._seen(task)[1])
        return record

    def _seen(self, task: Task) -> tuple[str, str]:
        """Return commit and tree that the stage sees: the run's, or only what it may read of it."""
        if task.node.reads is None:
            return task.commit, task.start_tree
        before = self._readable(task, task.tree)
        author, at = (
            (self.started.author, self.started.at) if self.started else ("", self.world.clock())
        )
        commit = self.store.commit(
            before, task.commit, "What this stage may read\n", author=author, at=at
        )
        return commit, self._readable(task, task.start_tree)

    def _readable(self, task: Task, tree: str) -> str:
        """Return what the stage may read of a tree; the rules of git are always of it."""
        reads = task.node.reads
        return tree if reads is None else self.store.only(tree, (*reads, *_RULES))

    def _lock_paths(self, node: Node) -> list[Path]:
        run_id = self.rundir.run_id
        scopes = {name: self.plan.locks[name].scope for name in node.locks}
        return [
            self.rundir.lock(lock_file_name(name, run_id if scope.value == "run" else None))
            for name, scope in scopes.items()
        ]

    def _stage_env(self, task: Task, folder: Path) -> dict[str, str]:
        return {
            "TMPDIR": str(folder / "home"),
            "PIPELINE_RUN_ID": self.rundir.run_id,
            "PIPELINE_STAGE": task.node.id,
            "PIPELINE_MODE": task.node.mode,
            "PIPELINE_ATTEMPT": str(task.attempt),
            "PIPELINE_ROUND": str(task.round),
            "PIPELINE_OUTPUT_DIR": str(folder / "out"),
            "PIPELINE_INPUT_DIR": str(folder / "in"),
            "PIPELINE_RESULT": str(folder / "result.json"),
            TAG: f"{self.rundir.run_id}/{task.node.id}/{task.attempt}",
            **_limits_env(task.node),
        }

    def _lay_out_inputs(self, task: Task, folder: Path) -> list[str]:
        """Copy what earlier stages delivered, so that nothing an agent does to its copy reaches another."""
        names: list[str] = []
        for stage in task.inputs:
            copied = copy_outputs(self.rundir.accepted(stage), folder / stage)
            names += [f"{stage}/{name}" for name in copied]
        return names

    def _prompt(self, task: Task, inputs: list[str]) -> str:
        player, started = task.node.player, self.started
        facts = facts_of(started) if started is not None else {}
        values = {**facts, **task.brief, "inputs": inputs}
        return prompts.render(self.templates, player.prompt if player else "", values)

    def _answer(
        self, folder: Path, backend: Backend | None, request: Request | None, record: ExitRecord
    ) -> Answer:
        stdout, stderr = _text(folder / STDOUT), _text(folder / STDERR)
        if backend is not None and request is not None:
            return backend.answer(request, record, stdout, stderr)
        if ended := failed_ending(record):
            return Answer(text=stdout, agent="sh", failure=ended[0], reason=ended[1])
        if record.code != 0:
            said = excerpt(stderr or stdout)
            reason = f"exit status {record.code}" + (f": {said}" if said else "")
            return Answer(text=stdout, agent="sh", failure=FailureKind.AGENT, reason=reason)
        return Answer(text=stdout, agent="sh")

    def _judge(self, task: Task, folder: Path, workspace: Workspace, answer: Answer) -> Found:
        """Hold what was done against what the stage may and must do; then ask the gates."""
        harvest = workspace.harvest(task.node.writes, self._readable(task, task.tree))
        reached("stage.harvested", task.node.id)
        changed = tuple(change.path for change in harvest.changes)
        tree = (
            harvest.tree
            if task.node.reads is None
            else self.store.graft_paths(task.tree, harvest.tree, set(changed))
        )
        styled: tuple[str, ...] = ()
        if changed and not harvest.violations:
            tree, styled = formatted(self.store, self.bench, self.plan.targets, tree, changed)
        found = Found(
            outcome=Outcome.DONE,
            tree=tree,
            changed=changed,
            formatted=styled,
            usage=answer.usage,
            agent=answer.agent,
        )
        leaks = keys.leaks(
            self.store, (task.tree, tree), folder / "out", self.places.included, self._keys(task)
        )
        violations = [*harvest.violations, *leaks]
        if not any("the value of" in violation for violation in violations):
            self._keep(task, answer, tree, rejected=bool(violations))
        fail = msgspec.structs.replace
        if violations:
            reason = "; ".join(violations[:5])
            reason += f"; and {len(violations) - 5} more" if len(violations) > 5 else ""
            return fail(found, outcome=Outcome.FAILED, kind=FailureKind.VIOLATION, reason=reason)
        if answer.failure is FailureKind.QUOTA:
            later = self.world.clock() + timedelta(seconds=answer.retry_after_s)
            return fail(
                found,
                outcome=Outcome.PARKED,
                kind=answer.failure,
                reason=answer.reason,
                retry_after=later,
            )
        if answer.failure is not None:
            return fail(found, outcome=Outcome.FAILED, kind=answer.failure, reason=answer.reason)
        if (said := instead.found(task, found, answer, self.store, self.base_tree)) is not None:
            return said
        if task.node.must_change and not changed and task.round == 1:
            reason = "the agent says it is done, and changed nothing that it may write"
            return fail(found, outcome=Outcome.FAILED, kind=FailureKind.NO_CHANGE, reason=reason)
        missing = outputs.fill(task.node, folder / "out", answer.text)
        if missing:
            return fail(
                found, outcome=Outcome.FAILED, kind=FailureKind.PROTOCOL, reason="; ".join(missing)
            )
        named = {name: output.file for name, output in task.node.outputs.items()}
        read = outputs.values(task.node, folder / "out")
        findings = tuple(folder / "out" / file for _, file in task.findings)
        return self._gated(task, fail(found, outputs=named, values=read), tree, findings)

    def _keys(self, task: Task) -> dict[str, str]:
        """Return the keys that the stage was given, as variables or in files, with their names."""
        player = task.node.player
        given = redact.secrets(self.world.child_env(player.pass_env)) if player is not None else {}
        return {**self.places.included.secrets(), **given}

    def _keep(self, task: Task, answer: Answer, tree: str, *, rejected: bool) -> None:
        """Keep the attempt's answer and its change for people, whatever becomes of them."""
        stage = self.rundir.stage(task.node.id)
        if answer.text:
            atomic.write_text(stage / "answer.md", answer.text, durable=False)
        if tree != task.tree:
            name = f"{task.node.id.replace(':', '.')}.{task.attempt}{'.rejected' if rejected else ''}.patch"
            atomic.write_bytes(
                self.rundir.folder / "patches" / name,
                self.store.patch(task.tree, tree),
                durable=False,
            )

    def _delivered(self, task: Task, gate: GateName) -> GateResult | None:
        """Return what the red gate saw, with what persons edited since: that is delivered too."""
        if not task.edits or gate is not GateName.UNTAMPERED:
            return task.red
        red = task.red or GateResult(gate=GateName.RED, passed=True, tree=self.base_tree, detail="")
        tree = red.tree
        for edit in task.edits:
            tree = self.store.graft_paths(tree, edit.tree, set(edit.changed))
        return msgspec.structs.replace(red, tree=tree)

    def _gated(self, task: Task, found: Found, tree: str, findings: tuple[Path, ...]) -> Found:
        """Run the stage's gates in order, up to the first that does not pass."""
        results: list[GateResult] = []
        for gate in task.node.gates:
            context = GateContext(
                store=self.store,
                bench=self.bench,
                targets=self.plan.targets,
                base_tree=self.base_tree,
                tree=self.store.graft(tree, self.base_tree, self.plan.records),
                red=None if gate is GateName.RED else self._delivered(task, gate),
                findings=findings,
                last_round=task.last_round,
                awake=self.world.awake,
            )
            results.append(gates.check(gate, context))
            if not results[-1].passed:
                break
        reached("gates.done", task.node.id)
        failed = next((result for result in results if not result.passed), None)
        if failed is None:
            return msgspec.structs.replace(found, gates=tuple(results))
        reason = f"gate {failed.gate.value}: {failed.detail}"
        return msgspec.structs.replace(
            found,
            gates=tuple(results),
            outcome=Outcome.FAILED,
            kind=FailureKind.GATE,
            reason=reason,
        )


def _limits_env(node: Node) -> dict[str, str]:
    """Tell a command what it may cost, so that it can keep to it."""
    limits = {"PIPELINE_LIMIT_USD": node.limits.usd, "PIPELINE_LIMIT_TOKENS": node.limits.tokens}
    return {name: f"{value:g}" for name, value in limits.items() if value is not None}


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[-_ANSWER_MAX_BYTES:].decode("utf-8", "replace")
    except OSError:
        return ""
