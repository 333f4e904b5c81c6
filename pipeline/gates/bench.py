"""The test bench: runs a target's tests on an exact tree, in a checkout that no agent ever touches.

One checkout for each run, used by one test run at a time. The command sees the PATH and VIRTUAL_ENV
of the person who started the run, a private HOME, and nothing else of their environment.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from pipeline.core.excerpt import excerpt
from pipeline.errors import Interrupted
from pipeline.files import atomic
from pipeline.files.trees import remove
from pipeline.gates.runners import table as runners
from pipeline.gates.runners.base import RunOutput, TestRequest
from pipeline.gates.testrun import ProblemKind, RunProblem, TestRun, without_canaries
from pipeline.language.target import Target
from pipeline.process.commands import CommandMaker, CommandRequest, Purpose
from pipeline.process.launch import Attempt, Launcher
from pipeline.process.spec import STDERR, STDOUT, CommandEnding, ExitRecord
from pipeline.repo.setups import SetupFailed
from pipeline.repo.store import Store
from pipeline.repo.workspace import Workspace

_FORM = 3
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
        """Whether the command is not installed or was ended: then it has not found anything."""
        return bool(self.problem) or self.code in _NOT_THERE


class Bench:
    """Runs tests; remembers what it ran, so that the same tests on the same tree run once."""

    def __init__(
        self,
        store: Store,
        launcher: Launcher,
        commands: CommandMaker,
        *,
        folder: Path,
        cache: Path,
        checkout: Workspace,
        randomness: Callable[[int], bytes],
    ) -> None:
        """`folder` is the bench's own; `cache` keeps results of base commits across runs.

        Tests run in `checkout`. `randomness` makes the names of canaries, which nobody can foresee.
        """
        self.store = store
        self._launcher = launcher
        self._commands = commands
        self._folder = folder
        self._cache = cache
        self._workspace = checkout
        self._randomness = randomness
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
        """Run the tests of a base tree, or take the result of an earlier run of this command."""
        parts = (
            _FORM,
            target.test,
            target.folder,
            self._commands.path_of(Purpose.TEST),
            self._workspace.setup_digest(tree),
        )
        digest = blake2b(msgspec.json.encode(parts), digest_size=8).hexdigest()
        path = self._cache / f"baseline-{tree}-{digest}.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=TestRun)
        except (OSError, msgspec.DecodeError):
            pass
        result = self.run(tree, target)
        if result.problem is None:
            atomic.write_bytes(path, msgspec.json.encode(result))
        return result

    def checked(self, tree: str, command: str, target: Target) -> Executed:
        """Run a check of a target on a tree, once."""
        key = (tree, target.folder, command)
        if key not in self._checked:
            self._checked[key] = self.execute(tree, command, target.folder, target.test.timeout_s)
        return self._checked[key]

    def execute(self, tree: str, command: str, folder: str, timeout_s: float) -> Executed:
        """Run a shell command in a folder of a tree; what it changes is part of the result."""
        with self._turn:
            try:
                at = self._at(tree)
            except SetupFailed as exc:
                return Executed(code=exc.exit_code, output="", tree=tree, problem=exc.what)
            argv = ("sh", "-c", command)
            request = self._request(Purpose.CHECK, argv, at, folder, timeout_s)
            record = self._launch(request)
            output = (_whole(at / STDOUT) + _whole(at / STDERR)).replace(
                f"{self._workspace.folder}/", ""
            )
            left = self._workspace.harvest(("**",), tree).tree
            problem = (
                ""
                if record.ending is CommandEnding.EXITED
                else record.reason or record.ending.value
            )
            return Executed(code=record.code, output=output, tree=left, problem=problem)

    def _at(self, tree: str) -> Path:
        """Bring the checkout to a tree, and make a folder for what a command leaves."""
        self._count += 1
        folder = self._folder / "runs" / f"{self._count}-{self._randomness(3).hex()}"
        self._workspace.prepare("", tree, with_git=False)
        return folder

    def _run(self, tree: str, target: Target, only: Sequence[str]) -> TestRun:
        command = target.test.command
        try:
            folder = self._at(tree)
        except SetupFailed as exc:
            problem = RunProblem(kind=ProblemKind.SETUP_FAILED, text=exc.what)
            return TestRun(tree=tree, problem=problem, command=command)
        root = self._workspace.folder
        request = TestRequest(
            target=target,
            paths=self.store.paths(tree),
            read=lambda path: self.store.read(tree, path),
            only=tuple(only),
            root=root,
            folder=folder,
            canary=self._randomness(6).hex(),
        )
        runner = runners.load(target.test)
        command_line = runner.command_line(request)
        for name, text in command_line.files.items():
            atomic.write_text(root / name, text, durable=False)
        argv, variables = command_line.argv, command_line.env
        timeout_s, inside = target.test.timeout_s, target.folder
        record = self._launch(
            self._request(Purpose.TEST, argv, folder, inside, timeout_s, variables)
        )
        if record.ending is not CommandEnding.EXITED:
            text = f"{command}: {record.reason or record.ending.value}"
            problem = RunProblem(kind=ProblemKind.DID_NOT_END, text=text)
            return TestRun(tree=tree, problem=problem, command=command)
        stdout, stderr = folder / STDOUT, folder / STDERR
        printed = excerpt(_whole(stderr)) or excerpt(_whole(stdout))
        output = RunOutput(code=record.code, stdout=stdout, stderr=stderr, excerpt=printed)
        report = runner.read(request, output)
        remove(folder / "home")
        return without_canaries(
            report,
            tree=tree,
            root=root,
            canary=request.canary,
            command=command,
            duration_s=record.duration_s,
        )

    def _request(
        self,
        purpose: Purpose,
        argv: tuple[str, ...],
        folder: Path,
        inside: str,
        timeout_s: float,
        variables: Mapping[str, str] | None = None,
    ) -> CommandRequest:
        """Ask for a command that runs in the checkout, or in a folder `inside` it."""
        return CommandRequest(
            purpose=purpose,
            argv=argv,
            cwd=self._workspace.folder / inside,
            folder=folder,
            timeout_s=timeout_s,
            variables=variables or {},
            programs=self._workspace.program_folders(inside),
            port_base=self._workspace.port_base,
        )

    def _launch(self, request: CommandRequest) -> ExitRecord:
        """Run one command to its end. Raises `Interrupted` when the run is stopped meanwhile."""
        if self._stopped:
            raise Interrupted("stopped before the tests were run")
        self._running = self._launcher.launch(self._commands.make(request))
        record = self._running.wait()
        self._running = None
        if self._stopped:
            raise Interrupted("stopped while the tests ran")
        return record or ExitRecord(ending=CommandEnding.ORPHANED, code=-1, reason="its shim died")


def _whole(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
