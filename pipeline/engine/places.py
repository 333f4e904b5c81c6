"""Where a run works: its workspaces from the repository's pool, set up as its flow says."""

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path

from pipeline.core import redact
from pipeline.core.gist import gist
from pipeline.core.state import fold
from pipeline.engine.look import load_plan
from pipeline.engine.world import World
from pipeline.errors import Interrupted, Problem
from pipeline.files import journal
from pipeline.files.rundir import RunDir
from pipeline.gates.bench import Bench
from pipeline.language.plan import Plan
from pipeline.process.launch import Attempt, Launcher
from pipeline.process.spec import STDERR, STDOUT, Ending, LaunchSpec, OnOrphan
from pipeline.repo import disk
from pipeline.repo.lend import Included
from pipeline.repo.pool import AGENTS, GATES, Pool
from pipeline.repo.setups import Setups, running
from pipeline.repo.store import Store
from pipeline.repo.workspace import Workspace, tools_in

_GATE = "gate"
_SHOWN = 900


class Places:
    """The workspaces of one run that is open for work; safe to use from several threads."""

    def __init__(
        self,
        world: World,
        rundir: RunDir,
        plan: Plan,
        store: Store,
        launcher: Launcher,
        tools: Mapping[str, str],
    ) -> None:
        """`tools` are the variables, recorded with the run, that say which programs are meant."""
        self.wants = plan.workspace
        self._world = world
        self._rundir = rundir
        self._store = store
        self._launcher = launcher
        self._tools = tools
        self._env = {**world.child_env(plan.workspace.pass_env), **tools}
        self._turn = threading.Lock()
        self._known: dict[str, Workspace] = {}
        self._running: set[Attempt] = set()
        self._stopped = False
        self._count = 0
        self._pool = Pool(rundir.workspaces, rundir.run_id, rundir.root, self._is_over)
        user = (world.user.root, world.user.git)
        self.setups = Setups(
            world.repo_state / disk.SETUPS, store, self.wants, user, tools, self._run
        )
        self.included = Included(world.user.git, world.user.root, self.wants.link)
        self._pool.make_room = self.setups.make_room = lambda: disk.make_room(
            world.repo_state, self.wants.disk_bytes, self._is_over
        )

    def begin(self, base: str, base_tree: str) -> None:
        """Take the base's commit and tree."""
        self.setups.begin(base, base_tree)

    def bench(self) -> Bench:
        """Make the test bench, on the checkout for gates."""
        return Bench(
            self._store,
            self._launcher,
            self._rundir.work / "gate",
            self._world.repo_state / "baselines",
            self._world.gate_env(self._tools),
            portable=self._world.settings.portable,
            checkout=self.gate(),
        )

    def workspace(self, slot: int) -> Workspace:
        """Return the workspace for the stages of one slot.

        Raises `Busy` when there is no room for a new one.
        """
        return self._have(str(slot), AGENTS)

    def gate(self) -> Workspace:
        """Return the checkout for gates.

        No agent ever works in it, and it has no files that only agents get.
        """
        return self._have(_GATE, GATES)

    def note_sizes(self) -> None:
        """Write down how much the workspaces hold."""
        with self._turn:
            for slot, workspace in self._known.items():
                self._pool.note_size(slot, workspace.size_bytes)

    def stop(self) -> None:
        """End set-up commands, and let none start."""
        self._stopped = True
        for attempt in list(self._running):
            attempt.cancel()

    def close(self, *, over: bool) -> None:
        """Let go of everything; when the run is over others may have its workspaces."""
        self.note_sizes()
        self._pool.close(over=over)
        self.setups.close()

    def _have(self, slot: str, kind: str) -> Workspace:
        with self._turn:
            if slot not in self._known:
                folder, port_base = self._pool.lease(slot, kind)
                workspace = self._known[slot] = Workspace(
                    folder,
                    self._store,
                    set_up=self.setups.of if kind == GATES else self.setups.near,
                    included=None if kind == GATES else self.included,
                    sparse=self.wants.sparse,
                )
                workspace.port_base, workspace.set_up_of = port_base, self.setups.digest
            return self._known[slot]

    def _run(self, command: str, cwd: Path, name: str) -> str:
        """Run one set-up command; return what went wrong, or an empty text."""
        if self._stopped:
            raise Interrupted("stopped before the set-up")
        self._count += 1
        folder = self._rundir.work / "setup" / f"{name}-{self._count}"
        (folder / "home").mkdir(parents=True, exist_ok=True)
        env = tools_in(cwd, {"HOME": str(folder / "home"), **self._env})
        attempt = self._launcher.launch(
            LaunchSpec(
                argv=("sh", "-c", command),
                cwd=str(cwd),
                env=env,
                folder=str(folder),
                timeout_s=self.wants.timeout_s,
                idle_timeout_s=self.wants.timeout_s,
                on_orphan=OnOrphan.KILL,
                locks=(str(running(self.setups.folder, name)),),
                secrets=tuple(redact.secrets(env)),
                portable=self._world.settings.portable,
            )
        )
        self._running.add(attempt)
        record = attempt.wait()
        self._running.discard(attempt)
        if self._stopped:
            raise Interrupted("stopped while it was set up")
        if record is None or record.ending is not Ending.EXITED:
            return record.reason or record.ending.value if record is not None else "its shim died"
        said = _gist(folder / STDERR) or _gist(folder / STDOUT)
        return f"exit status {record.code}: {said} (all of it: {folder})" if record.code else ""

    def _is_over(self, run_id: str, root: str) -> bool:
        rundir = RunDir(Path(root), self._world.repo_state, run_id)
        if not rundir.exists:
            return True
        with contextlib.suppress(Problem, OSError):
            return fold(load_plan(rundir.plan), journal.read(rundir.journal)).end is not None
        return True


def _gist(path: Path) -> str:
    try:
        return gist(path.read_text(errors="replace"), _SHOWN)
    except OSError:
        return ""
