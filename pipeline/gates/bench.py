"""The test bench: runs a target's tests on an exact tree, in a checkout that no agent ever touches.

One checkout for each run, used by one test run at a time. The command sees the PATH and VIRTUAL_ENV
of the person who started the run, a private HOME, and nothing else of their environment.
"""

import os
import threading
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from pipeline.core.gist import gist
from pipeline.errors import Interrupted
from pipeline.files import atomic
from pipeline.files.trees import remove
from pipeline.gates import runners
from pipeline.gates.runners.base import Ask, Left
from pipeline.gates.testrun import TestRun, believed
from pipeline.language.target import Target
from pipeline.process.launch import Attempt, Launcher
from pipeline.process.spec import STDERR, STDOUT, Ending, ExitRecord, LaunchSpec, OnOrphan
from pipeline.repo.setups import SetupFailed
from pipeline.repo.store import Store
from pipeline.repo.workspace import Workspace

_FORM = 2
"""Which form `TestRun` has in the cache of base results; another one is not read."""


_NOT_THERE = (126, 127)
"""How a shell says that it cannot run a command."""


class Executed(msgspec.Struct, frozen=True, kw_only=True):
    """What a shell command on an exact tree came to; `tree` is what it left behind."""

    code: int
    output: str
    tree: str
    problem: str = ""

    @property
    def cannot_run(self) -> bool:
        """A command that is not installed, or did not end by itself, is not one that found something."""
        return bool(self.problem) or self.code in _NOT_THERE


class Bench:
    """Runs tests; remembers what it ran, so that the same tests on the same tree run once."""

    def __init__(
        self,
        store: Store,
        launcher: Launcher,
        folder: Path,
        cache: Path,
        env: Mapping[str, str],
        *,
        portable: bool = False,
        checkout: Workspace | None = None,
    ) -> None:
        """`folder` is the bench's own; `cache` keeps results of base commits across runs.

        Tests run in `checkout`.
        """
        self._portable = portable
        self.store = store
        self._launcher = launcher
        self._folder = folder
        self._cache = cache
        self._env = dict(env)
        self._workspace = checkout or Workspace(folder / "checkout", store)
        self._turn = threading.Lock()
        self._known: dict[tuple[str, str], TestRun] = {}
        self._checked: dict[tuple[str, str, str], Executed] = {}
        self._running: Attempt | None = None
        self._stopped = False
        self._count = 0

    def stop(self) -> None:
        """End the test run that is under way; later ones raise `Interrupted`."""
        self._stopped = True
        if self._running is not None:
            self._running.cancel()

    def run(
        self, tree: str, target: Target, only: Sequence[str] = (), *, again: bool = False
    ) -> TestRun:
        """Run the target's tests on `tree`; `only` names test files.

        `again` runs what was run before once more.
        """
        key = (tree, f"{target.name} {' '.join(only)}")
        with self._turn:
            if again or key not in self._known:
                self._known[key] = self._run(tree, target, only)
            return self._known[key]

    def baseline(self, tree: str, target: Target) -> TestRun:
        """Run the tests of a base tree, or take the result of an earlier run of the same command on it."""
        parts = (
            _FORM,
            target.test,
            target.folder,
            self._env.get("PATH"),
            self._workspace.set_up_of(tree),
        )
        digest = blake2b(msgspec.json.encode(parts), digest_size=8).hexdigest()
        path = self._cache / f"baseline-{tree}-{digest}.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=TestRun)
        except (OSError, msgspec.DecodeError):
            pass
        result = self.run(tree, target)
        if not result.problem:
            atomic.write_bytes(path, msgspec.json.encode(result))
        return result

    def checked(self, tree: str, command: str, target: Target) -> Executed:
        """Run a check of a target on a tree, once."""
        key = (tree, target.folder, command)
        if key not in self._checked:
            self._checked[key] = self.execute(tree, command, target.folder, target.test.timeout_s)
        return self._checked[key]

    def execute(self, tree: str, command: str, folder: str, timeout_s: float) -> Executed:
        """Run a shell command on a tree, in `folder` of it.

        What it changes is part of what it came to.
        """
        with self._turn:
            try:
                at = self._at(tree)
            except SetupFailed as exc:
                return Executed(code=exc.exit_code, output="", tree=tree, problem=exc.what)
            cache = {"XDG_CACHE_HOME": str(self._cache / "tools")}
            record = self._launch(("sh", "-c", command), at, cache, folder, timeout_s)
            output = (_whole(at / STDOUT) + _whole(at / STDERR)).replace(
                f"{self._workspace.folder}/", ""
            )
            left = self._workspace.harvest(("**",), tree).tree
            problem = "" if record.ending is Ending.EXITED else record.reason or record.ending.value
            return Executed(code=record.code, output=output, tree=left, problem=problem)

    def _at(self, tree: str) -> Path:
        """Bring the checkout to a tree, and make a folder for what a command leaves."""
        self._count += 1
        folder = self._folder / "runs" / f"{self._count}-{os.urandom(3).hex()}"
        (folder / "home").mkdir(parents=True)
        self._workspace.prepare("", tree, with_git=False)
        return folder

    def _run(self, tree: str, target: Target, only: Sequence[str]) -> TestRun:
        command = target.test.command
        try:
            folder = self._at(tree)
        except SetupFailed as exc:
            return TestRun(tree=tree, problem=exc.what, command=command)
        root = self._workspace.folder
        ask = Ask(
            target=target,
            paths=self.store.paths(tree),
            read=lambda path: self.store.read(tree, path),
            only=tuple(only),
            root=root,
            folder=folder,
            canary=os.urandom(6).hex(),
        )
        runner = runners.load(target.test)
        call = runner.call(ask)
        for name, text in call.files.items():
            atomic.write_text(root / name, text, durable=False)
        record = self._launch(call.argv, folder, call.env, target.folder, target.test.timeout_s)
        if record.ending is not Ending.EXITED:
            problem = f"{command}: {record.reason or record.ending.value}"
            return TestRun(tree=tree, problem=problem, command=command)
        stdout, stderr = folder / STDOUT, folder / STDERR
        printed = gist(_whole(stderr)) or gist(_whole(stdout))
        left = Left(code=record.code, stdout=stdout, stderr=stderr, gist=printed)
        seen = runner.read(ask, left)
        remove(folder / "home")
        return believed(
            seen,
            tree=tree,
            root=root,
            canary=ask.canary,
            command=command,
            duration_s=record.duration_s,
        )

    def _launch(
        self,
        argv: tuple[str, ...],
        folder: Path,
        env: Mapping[str, str],
        inside: str,
        timeout_s: float,
    ) -> ExitRecord:
        """Run one command in the checkout to its end.

        Raises `Interrupted` when the run is stopped meanwhile.
        """
        if self._stopped:
            raise Interrupted("stopped before the tests were run")
        home = str(folder / "home")
        caches = {
            "GOCACHE": str(self._cache / "go"),
            "CARGO_TARGET_DIR": str(self._cache / "cargo"),
        }
        self._running = self._launcher.launch(
            LaunchSpec(
                argv=argv,
                cwd=str(self._workspace.folder / inside),
                env={
                    **caches,
                    **self._workspace.tools(self._env, inside),
                    "HOME": home,
                    "TMPDIR": home,
                    **env,
                },
                folder=str(folder),
                timeout_s=timeout_s,
                idle_timeout_s=timeout_s,
                on_orphan=OnOrphan.KILL,
                portable=self._portable,
            )
        )
        record = self._running.wait()
        self._running = None
        if self._stopped:
            raise Interrupted("stopped while the tests ran")
        return record or ExitRecord(ending=Ending.ORPHANED, code=-1, reason="its shim died")


def _whole(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
