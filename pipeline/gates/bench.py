"""The test bench: runs a target's tests on an exact tree, in a checkout that no agent ever touches.

One checkout for each run, used by one test run at a time. The command sees the PATH and VIRTUAL_ENV of the person
who started the run, a private HOME, and nothing else of their environment.
"""

import secrets
import shlex
import threading
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from pipeline.errors import Interrupted
from pipeline.files import atomic
from pipeline.files.rundir import remove_tree
from pipeline.gates.testrun import TestRun, Traces, read_run
from pipeline.language import globs
from pipeline.language.flow import Target
from pipeline.process.launch import Attempt, Launcher
from pipeline.process.spec import STDERR, STDOUT, Ending, LaunchSpec, OnOrphan
from pipeline.repo.setups import SetupFailed
from pipeline.repo.store import Store
from pipeline.repo.workspace import Workspace

PROBE = Path(__file__).parent / "probe"
_FLAGS = ("-o", "junit_family=xunit1", "--continue-on-collection-errors", "--maxfail=0", "-p", "no:cacheprovider")


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
        """`folder` is the bench's own; `cache` keeps results of base commits across runs; tests run in `checkout`."""
        self._portable = portable
        self.store = store
        self._launcher = launcher
        self._folder = folder
        self._cache = cache
        self._env = dict(env)
        self._workspace = checkout or Workspace(folder / "checkout", store)
        self._turn = threading.Lock()
        self._known: dict[tuple[str, str], TestRun] = {}
        self._running: Attempt | None = None
        self._stopped = False
        self._count = 0

    def stop(self) -> None:
        """End the test run that is under way; later ones raise `Interrupted`."""
        self._stopped = True
        if self._running is not None:
            self._running.cancel()

    def run(self, tree: str, target: Target, only: Sequence[str] = (), *, again: bool = False) -> TestRun:
        """Run the target's tests on `tree`; `only` names test files. `again` runs what was run before once more."""
        key = (tree, f"{target.name} {' '.join(only)}")
        with self._turn:
            if again or key not in self._known:
                self._known[key] = self._run(tree, target, only)
            return self._known[key]

    def baseline(self, tree: str, target: Target) -> TestRun:
        """Run the tests of a base tree, or take the result of an earlier run of the same command on it."""
        digest = blake2b(
            f"{target.test.command}\0{self._env.get('PATH')}\0{self._workspace.set_up_of(tree)}".encode(), digest_size=8
        ).hexdigest()
        path = self._cache / f"baseline-{tree}-{digest}.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=TestRun)
        except (OSError, msgspec.DecodeError):
            pass
        result = self.run(tree, target)
        if not result.problem:
            atomic.write_bytes(path, msgspec.json.encode(result))
        return result

    def _run(self, tree: str, target: Target, only: Sequence[str]) -> TestRun:
        self._count += 1
        folder = self._folder / "runs" / f"{self._count}-{secrets.token_hex(3)}"
        home = folder / "home"
        home.mkdir(parents=True)
        try:
            self._workspace.prepare("", tree, with_git=False)
        except SetupFailed as exc:
            return TestRun(tree=tree, problem=exc.what, command=target.test.command)
        canary = secrets.token_hex(6)
        argv = (*shlex.split(target.test.command), *only, f"--junitxml={folder / 'report.xml'}", *_FLAGS)
        argv = (*argv, "-p", "idea_to_pr_probe")
        env = {
            **self._workspace.tools(self._env),
            "HOME": str(home),
            "TMPDIR": str(home),
            "PYTHONPATH": str(PROBE),
            "IDEA_TO_PR_CANARY": canary,
            "IDEA_TO_PR_PROBE": str(folder / "probe.json"),
            "IDEA_TO_PR_WATCH": ",".join(sorted(own_names(self.store.paths(tree), target))),
        }
        return self._measure(tree, target, folder, argv, env, canary)

    def _measure(
        self, tree: str, target: Target, folder: Path, argv: tuple[str, ...], env: dict[str, str], canary: str
    ) -> TestRun:
        if self._stopped:
            raise Interrupted("stopped before the tests were run")
        self._running = self._launcher.launch(
            LaunchSpec(
                argv=argv,
                cwd=str(self._workspace.folder),
                env=env,
                folder=str(folder),
                timeout_s=target.test.timeout,
                idle_timeout_s=target.test.timeout,
                on_orphan=OnOrphan.KILL,
                portable=self._portable,
            )
        )
        record = self._running.wait()
        self._running = None
        if self._stopped:
            raise Interrupted("stopped while the tests ran")
        command = target.test.command
        if record is None or record.ending is not Ending.EXITED:
            why = record.reason or record.ending.value if record else "its shim died"
            return TestRun(tree=tree, problem=f"{command}: {why}", command=command)
        left = Traces(
            report=folder / "report.xml",
            probe=folder / "probe.json",
            canary=canary,
            code=record.code,
            output=_tail(folder / STDERR) or _tail(folder / STDOUT),
            command=command,
            duration_s=record.duration_s,
        )
        result = read_run(tree, self._workspace.folder, left)
        remove_tree(folder / "home")
        return result


def own_names(paths: Sequence[str], target: Target) -> set[str]:
    """Name the top-level packages and modules that a target's source globs hold."""
    names: set[str] = set()
    for path in paths:
        if not path.endswith(".py") or not globs.matches_any(target.source, path):
            continue
        parts = path.split("/")
        if parts[0] in {"src", "lib"} and len(parts) > 1:
            parts = parts[1:]
        names.add(parts[0].removesuffix(".py"))
    return names


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-2000:].decode("utf-8", "replace")
    except OSError:
        return ""
