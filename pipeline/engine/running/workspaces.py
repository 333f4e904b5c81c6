"""Where a run works: its workspaces from the repository's pool, set up as its flow says."""

import contextlib
import threading
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path

from pipeline.core import redact
from pipeline.core.excerpt import excerpt
from pipeline.engine.ground.lookup import state_of
from pipeline.engine.ground.world import World
from pipeline.errors import Interrupted, Problem
from pipeline.files.rundir import RunDir
from pipeline.gates.bench import Bench
from pipeline.language.plan import Plan
from pipeline.process.commands import CommandMaker, CommandRequest, Purpose
from pipeline.process.launch import Attempt, Launcher
from pipeline.process.spec import STDERR, STDOUT, CommandEnding
from pipeline.repo import disk
from pipeline.repo.links import IncludedFiles
from pipeline.repo.pool import AGENTS, GATES, Pool
from pipeline.repo.setups import SetupProblem, Setups, running_lock
from pipeline.repo.store import PinnedBase, Store
from pipeline.repo.workspace import Workspace, read_tags

_GATE = "gate"
_SHOWN_CHARACTERS = 900


class Workspaces:
    """The workspaces of one run that is open for work; safe to use from several threads."""

    def __init__(  # noqa: PLR0917 - one argument for each thing that a workspace comes from
        self,
        world: World,
        rundir: RunDir,
        plan: Plan,
        store: Store,
        launcher: Launcher,
        tools: Mapping[str, str],
        base: PinnedBase,
    ) -> None:
        """`tools` are the variables, recorded with the run, that say which programs are meant."""
        self.needs = plan.workspace
        self._world = world
        self._rundir = rundir
        self._store = store
        self._launcher = launcher
        self._turn = threading.Lock()
        self._known: dict[str, Workspace] = {}
        self._running: set[Attempt] = set()
        self._stopped = False
        self._count = 0
        self.included = IncludedFiles(world.user.git, world.user.root, self.needs.link)
        self.commands = CommandMaker(
            world.environ,
            tools,
            run_id=rundir.run_id,
            caches=world.repo_state / "baselines",
            lock_timeout_s=world.settings.lock_timeout_s,
            portable=world.settings.portable,
            secrets=self._secrets,
        )
        self._base = base
        self._read_tags = cache(partial(read_tags, world.user.git))
        self._pool = Pool(
            rundir.workspaces, rundir.run_id, rundir.root, self._is_over, self._make_room
        )
        self.setups = self._make_setups(tools, base)
        self.bench = self._make_bench()

    def _make_setups(self, tools: Mapping[str, str], base: PinnedBase) -> Setups:
        user = self._world.user
        return Setups(
            self._world.repo_state / disk.SETUPS,
            self._store,
            self.needs,
            (user.root, user.git),
            tools,
            self._run,
            base=base,
            make_room=self._make_room,
            doing=self._world.doing,
        )

    def _make_bench(self) -> Bench:
        return Bench(
            self._store,
            self._launcher,
            self.commands,
            folder=self._rundir.work / "gate",
            cache=self._world.repo_state / "baselines",
            checkout=self._have(_GATE, GATES),
            base=self._base,
            randomness=self._world.randomness,
            doing=self._world.doing,
        )

    def workspace(self, slot: int) -> Workspace:
        """Return the workspace for the stages of one slot. Raises `Busy` when there is no room."""
        return self._have(str(slot), AGENTS)

    def learn_secrets(self) -> None:
        """Have the redactor know what is secret now: logins are renewed while agents work."""
        self._world.redactor.learn({**self._world.secrets(), **self.included.secrets()})

    def _secrets(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Return what a command with these variables may not print."""
        self.learn_secrets()
        self._world.redactor.learn(redact.secrets(environ))
        return self._world.redactor.values()

    def remove_secrets(self, slot: int) -> None:
        """Remove files with secrets from the workspace of a slot, if it was used."""
        with self._turn:
            workspace = self._known.get(str(slot))
        if workspace is not None:
            workspace.remove_secrets()

    def note_sizes(self) -> None:
        """Write down how much the workspaces hold."""
        with self._turn:
            for slot, workspace in self._known.items():
                self._pool.record_size(slot, workspace.size_bytes)

    def stop(self) -> None:
        """End set-up commands and tests, and let none start."""
        self._stopped = True
        for attempt in list(self._running):
            attempt.cancel()
        self.bench.stop()

    def close(self, *, is_over: bool) -> None:
        """Let go of everything; when the run is over others may have its workspaces."""
        self.note_sizes()
        self.bench.close()
        self._pool.close(is_over=is_over)
        self.setups.close()

    def _have(self, slot: str, kind: str) -> Workspace:
        """Return the workspace of a slot; no agent works in one for gates or sees its files."""
        with self._turn:
            if slot not in self._known:
                folder, port_base = self._pool.lease(slot, kind)
                is_for_gates = kind == GATES
                self._known[slot] = Workspace(
                    folder,
                    self._store,
                    set_up=self.setups.require if is_for_gates else self.setups.require_or_base,
                    included=None if is_for_gates else self.included,
                    sparse=self.needs.sparse,
                    port_base=port_base,
                    setup_digest=self.setups.digest,
                    tags=self._read_tags,
                    redactor=self._world.redactor,
                )
            return self._known[slot]

    def _run(self, command: str, cwd: Path, name: str) -> SetupProblem | None:
        """Run one set-up command; return what went wrong, or None."""
        if self._stopped:
            raise Interrupted("stopped before the set-up")
        self._count += 1
        folder = self._rundir.work / "setup" / f"{name}-{self._count}"
        request = CommandRequest(
            purpose=Purpose.SETUP,
            argv=("sh", "-ec", command),
            cwd=cwd,
            folder=folder,
            timeout_s=self.needs.timeout_s,
            pass_env=self.needs.pass_env,
            programs=(cwd,),
            locks=(running_lock(self.setups.folder, name),),
        )
        attempt = self._launcher.launch(self.commands.make(request))
        self._running.add(attempt)
        record = attempt.wait()
        self._running.discard(attempt)
        if self._stopped:
            raise Interrupted("stopped while it was set up")
        if record is None:
            return SetupProblem(reason="its shim died")
        if record.ending is not CommandEnding.EXITED:
            return SetupProblem(reason=record.reason or record.ending.value)
        if record.code == 0:
            return None
        output = _excerpt(folder / STDERR) or _excerpt(folder / STDOUT)
        return SetupProblem(reason=f"exit status {record.code}: {output}", logs=str(folder))

    def _make_room(self) -> None:
        disk.make_room(self._world.repo_state, self.needs.disk_bytes, self._is_over)

    def _is_over(self, run_id: str, root: str) -> bool:
        rundir = RunDir(Path(root), self._world.repo_state, run_id)
        if not rundir.exists:
            return True
        with contextlib.suppress(Problem, OSError):
            return state_of(rundir).end is not None
        return False  # what cannot be read may still be wanted


def _excerpt(path: Path) -> str:
    try:
        return excerpt(path.read_text(errors="replace"), _SHOWN_CHARACTERS)
    except OSError:
        return ""
