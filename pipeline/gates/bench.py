"""The test bench: runs tests and checks on an exact tree, in a checkout that no agent can reach.

Each run has one such checkout, used by one command at a time. Commands see the PATH and VIRTUAL_ENV
of the person who started the run, a private HOME, and nothing else of that person's environment.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import msgspec

from pipeline.core.excerpt import excerpt
from pipeline.errors import Interrupted
from pipeline.files import atomic
from pipeline.files.doing import SILENT, Doing
from pipeline.files.trees import remove
from pipeline.gates.runners import table as runners
from pipeline.gates.runners.above import failures_above
from pipeline.gates.runners.base import RunOutput, TestCommandLine, TestRequest
from pipeline.gates.services import Services, test_variables
from pipeline.gates.testrun import (
    CommandResult,
    CommandRun,
    ProblemKind,
    RunProblem,
    TestRun,
    name_of_canary,
    without_canaries,
    without_canary,
    without_flaky,
)
from pipeline.language.runners import PLACE, runner_of
from pipeline.language.target import Runner, Target
from pipeline.process.commands import CommandMaker, CommandRequest, Purpose
from pipeline.process.launch import Attempt, Launcher
from pipeline.process.spec import STDERR, STDOUT, CommandEnding, ExitRecord
from pipeline.repo.setups import SetupFailed
from pipeline.repo.store import PinnedBase, Store
from pipeline.repo.workspace import Workspace

_LOG_MAX_CHARACTERS = 200_000
_CACHE_VERSION = 6
"""The version of `TestRun` in the cache of base results; other versions are not read."""

_Cached = TypeVar("_Cached", TestRun, CommandRun)


class Bench:
    """Runs tests, and remembers results: the same tests on the same tree run only once."""

    def __init__(  # noqa: PLR0913 - one argument for each thing that tests need
        self,
        store: Store,
        launcher: Launcher,
        commands: CommandMaker,
        *,
        folder: Path,
        cache: Path,
        checkout: Workspace,
        base: PinnedBase,
        randomness: Callable[[int], bytes],
        doing: Doing = SILENT,
    ) -> None:
        """`folder` is the bench's own; `cache` keeps the results of base trees across runs.

        Tests run in `checkout`, on commits on top of `base`. `randomness` is for the names of
        canaries, which an agent must not be able to predict.
        """
        self.store = store
        self._launcher = launcher
        self._commands = commands
        self._folder = folder
        self._cache = cache
        self._workspace = checkout
        self._base = base
        self._randomness = randomness
        self.doing = doing
        self._mutex = threading.Lock()
        self._test_runs: dict[tuple[str, str], TestRun] = {}
        self._own_runs: dict[tuple[str, str], CommandRun] = {}
        self._check_results: dict[tuple[str, str, str], CommandResult] = {}
        self._log: list[str] = []
        self._services = Services(
            folder / "services",
            lambda request: launcher.launch(commands.make(request)),
            lambda: self._stopped,
        )
        self._running: Attempt | None = None
        self._stopped = False
        self._count = 0

    def close(self) -> None:
        """Stop the services that tests needed."""
        self._services.close()

    def stop(self) -> None:
        """Cancel the command that is running; later ones raise `Interrupted`."""
        self._stopped = True
        if self._running is not None:
            self._running.cancel()

    def take_log(self) -> str:
        """Return what commands have printed since the last time, each with its command line."""
        log, self._log = "\n".join(self._log), []
        return log

    def run(
        self,
        tree: str,
        target: Target,
        only: Sequence[str] = (),
        *,
        rerun: bool = False,
        timeout_s: float | None = None,
    ) -> TestRun:
        """Run the target's tests on `tree`, or only some test files.

        With `rerun` they run even if the result is known; its result is not kept for others. A
        `timeout_s` that is shorter than the target's own holds for this run alone, and so does the
        bound of memory for faults.
        """
        key = (tree, f"{target.name} {' '.join(only)}")
        with self._mutex:
            if rerun or timeout_s is not None:
                return self._run(tree, target, only, timeout_s)
            if key not in self._test_runs:
                self._test_runs[key] = self._run(tree, target, only)
            return self._test_runs[key]

    def baseline(self, tree: str, target: Target) -> TestRun:
        """Run the tests of a base tree, or load the result of an earlier run.

        Tests that fail are run again: one that passes then is flaky, and does not count as failing.
        """
        path = self._cache_file("baseline", tree, target)
        if (cached := _load(path, TestRun)) is not None:
            return cached
        result = self.run(tree, target)
        if result.problem is not None:
            return result
        if result.failing and not result.weak:
            result = without_flaky(result, self.run(tree, target, rerun=True))
        atomic.write_bytes(path, msgspec.json.encode(result))
        return result

    def known_products(self, tree: str, targets: Sequence[Target]) -> frozenset[str]:
        """Return the files that the targets' tests leave in a base tree, if they were run on it."""
        runs = (_load(self._cache_file("baseline", tree, target), TestRun) for target in targets)
        return frozenset(path for run in runs if run is not None for path in run.products)

    def own(self, tree: str, target: Target, *, rerun: bool = False) -> CommandRun:
        """Run the person's own test command, in its own words: no report, probe or canary of ours.

        A command that writes its own report, or none, is run like that anyway; then the status of
        that run is returned. With `rerun` it runs even if the result is known.
        """
        key = (tree, target.name)
        with self._mutex:
            if rerun or key not in self._own_runs:
                self._own_runs[key] = self._run_own(tree, target)
            return self._own_runs[key]

    def own_baseline(self, tree: str, target: Target) -> CommandRun:
        """Run the person's own command on a base tree, or load the result of an earlier run."""
        path = self._cache_file("command", tree, target)
        if (cached := _load(path, CommandRun)) is not None:
            return cached
        result = self.own(tree, target)
        if not result.problem:
            atomic.write_bytes(path, msgspec.json.encode(result))
        return result

    def _cache_file(self, kind: str, tree: str, target: Target) -> Path:
        """Return where a base's result is kept: by everything that can change it."""
        parts = (
            _CACHE_VERSION,
            target.test,
            target.folder,
            self._commands.path_of(Purpose.TEST),
            self._workspace.setup_digest(tree),
        )
        digest = blake2b(msgspec.json.encode(parts), digest_size=8).hexdigest()
        return self._cache / f"{kind}-{tree}-{digest}.json"

    def check(self, tree: str, command: str, target: Target) -> CommandResult:
        """Run a check of a target on a tree, once for each tree."""
        key = (tree, target.folder, command)
        if key not in self._check_results:
            self._check_results[key] = self.execute(tree, command, target, target.test.timeout_s)
        return self._check_results[key]

    def execute(self, tree: str, command: str, target: Target, timeout_s: float) -> CommandResult:
        """Run a shell command in a target's folder; its changes are part of the result."""
        with self._mutex:
            try:
                logs = self._check_out(tree)
            except SetupFailed as exc:
                return CommandResult(code=exc.exit_code, output="", tree=tree, problem=exc.what)
            argv = ("sh", "-ec", command)
            request = self._request(Purpose.CHECK, argv, logs, target, timeout_s)
            record = self._launch(request)
            output = self._output(logs, command, record.code)
            tree_after = self._workspace.snapshot()[0]
            problem = (
                ""
                if record.ending is CommandEnding.EXITED
                else record.reason or record.ending.value
            )
            return CommandResult(code=record.code, output=output, tree=tree_after, problem=problem)

    def _check_out(self, tree: str) -> Path:
        """Check out a tree; return a new folder for the logs and reports of a command on it."""
        self._count += 1
        folder = self._folder / "runs" / f"{self._count}-{self._randomness(3).hex()}"
        self._workspace.prepare(self.store.snapshot_commit(tree, self._base), tree)
        return folder

    def _run_own(self, tree: str, target: Target) -> CommandRun:
        try:
            folder = self._check_out(tree)
        except SetupFailed as exc:
            return CommandRun(code=exc.exit_code, problem=exc.what)
        if down := self._why_down(target):
            return CommandRun(code=-1, problem=down)
        request = self._test_request(tree, target, (), folder)
        argv = tuple(word.replace(PLACE, str(request.report)) for word in request.words)
        variables = runners.load(target.test).command_line(request).import_env
        longest_s = target.test.timeout_s
        record = self._launch(
            self._request(Purpose.TEST, argv, folder, target, longest_s, variables)
        )
        output = self._output(folder, target.test.command, record.code)
        remove(folder / "home")
        problem = "" if record.ending is CommandEnding.EXITED else record.reason
        return CommandRun(
            code=record.code,
            output=output,
            problem=problem or ("" if record.ending is CommandEnding.EXITED else record.ending),
        )

    def _why_down(self, target: Target) -> str:
        """Start the target's services; return why one is down, or an empty text."""
        port_base = self._workspace.port_base
        cwd = self._workspace.folder / target.folder
        variables = test_variables(target, port_base)
        return self._services.why_down(target, cwd, variables, port_base)

    def _output(self, folder: Path, command: str, code: int, canary: str = "") -> str:
        """Return what a command printed, with paths relative to the checkout, and log it.

        Paths are as the person knows them, and the same for every checkout, to be compared.
        """
        text = self.relative(_read_text(folder / STDOUT) + _read_text(folder / STDERR))
        text = without_canary(text, canary) if canary else text
        shown = text if len(text) <= _LOG_MAX_CHARACTERS else text[-_LOG_MAX_CHARACTERS:]
        self._log.append(f"$ {command}\n{shown}\n(exit status {code})\n")
        return text

    def relative(self, text: str) -> str:
        """Return a text with the paths of files in the checkout as they are from its root."""
        return text.replace(f"{self._workspace.folder}/", "")

    def _test_request(
        self, tree: str, target: Target, only: Sequence[str], folder: Path
    ) -> TestRequest:
        return TestRequest(
            target=target,
            paths=self.store.paths(tree),
            read=lambda path: self.store.read(tree, path),
            only=tuple(only),
            root=self._workspace.folder,
            folder=folder,
            canary=name_of_canary(self._randomness(8)),
        )

    def _run(
        self, tree: str, target: Target, only: Sequence[str], at_most_s: float | None = None
    ) -> TestRun:
        command = target.test.command
        try:
            folder = self._check_out(tree)
        except SetupFailed as exc:
            problem = RunProblem(kind=ProblemKind.SETUP_FAILED, text=exc.what)
            return TestRun(tree=tree, problem=problem, command=command)
        if down := self._why_down(target):
            problem = RunProblem(kind=ProblemKind.SERVICE_DOWN, text=down)
            return TestRun(tree=tree, problem=problem, command=command)
        root = self._workspace.folder
        request = self._test_request(tree, target, only, folder)
        runner = runners.load(target.test)
        command_line = runner.command_line(request)
        for name, text in command_line.files.items():
            atomic.write_text(root / name, text, durable=False)
        record = self._launch_tests(command_line, folder, target, at_most_s)
        if record.ending is not CommandEnding.EXITED:
            text = f"{command}: {record.reason or record.ending.value}"
            is_memory = record.ending is CommandEnding.MEMORY
            kind = ProblemKind.TOO_MUCH_MEMORY if is_memory else ProblemKind.DID_NOT_END
            problem = RunProblem(kind=kind, text=text)
            return TestRun(tree=tree, problem=problem, command=command)
        stdout, stderr = folder / STDOUT, folder / STDERR
        printed = excerpt(_read_text(stderr)) or excerpt(_read_text(stdout))
        output = RunOutput(code=record.code, stdout=stdout, stderr=stderr, excerpt=printed)
        report = runner.read(request, output)
        report.above = failures_above((*output.lines(), *output.errors()))
        canary = request.canary
        text = self._output(folder, f"{command}  # without our own", record.code, canary)
        if not only and at_most_s is None and runner_of(target.test) in {None, Runner.JUNIT}:
            self._own_runs[tree, target.name] = CommandRun(code=record.code, output=text)
        products = self._new_files(tree, command_line.files) if tree == self._base.tree else ()
        remove(folder / "home")
        run = without_canaries(
            report,
            tree=tree,
            root=root,
            canary=canary,
            command=command,
            code=record.code,
            duration_s=record.duration_s,
        )
        return msgspec.structs.replace(run, products=products)

    def _launch_tests(
        self, tests: TestCommandLine, folder: Path, target: Target, at_most_s: float | None
    ) -> ExitRecord:
        """Run a test command to its end; with a time limit of its own memory is bounded too."""
        longest_s = target.test.timeout_s
        timeout_s = longest_s if at_most_s is None else min(longest_s, at_most_s)
        request = self._request(Purpose.TEST, tests.argv, folder, target, timeout_s, tests.env)
        if at_most_s is not None:
            memory = int(target.proof.memory_bytes)
            request = msgspec.structs.replace(request, memory_max_bytes=memory)
        return self._launch(request)

    def _new_files(self, tree: str, ours: Mapping[str, str]) -> tuple[str, ...]:
        """List the files that a test run has left in the checkout, without those we put there."""
        after, _ = self._workspace.snapshot()
        new = (change.path for change in self.store.diff(tree, after) if change.status == "A")
        return tuple(path for path in new if path not in ours)

    def _request(
        self,
        purpose: Purpose,
        argv: tuple[str, ...],
        folder: Path,
        target: Target,
        timeout_s: float,
        variables: Mapping[str, str] | None = None,
    ) -> CommandRequest:
        """Return the request for a command in a target's folder of the checkout.

        The variables that the flow gives its tests are part of it; of `PYTHONPATH` both count.
        """
        own, added = test_variables(target, self._workspace.port_base), dict(variables or {})
        if "PYTHONPATH" in own and "PYTHONPATH" in added:
            added["PYTHONPATH"] = os.pathsep.join((added["PYTHONPATH"], own["PYTHONPATH"]))
        return CommandRequest(
            purpose=purpose,
            argv=argv,
            cwd=self._workspace.folder / target.folder,
            folder=folder,
            timeout_s=timeout_s,
            pass_env=target.test.pass_env,
            variables=own | added,
            programs=self._workspace.program_folders(target.folder),
            port_base=self._workspace.port_base,
        )

    def _launch(self, request: CommandRequest) -> ExitRecord:
        """Run one command to its end. Raises `Interrupted` if the run is stopped meanwhile."""
        # Not an ending like any other: tests that were cut off say nothing about the tree.
        if self._stopped:
            raise Interrupted("stopped before the tests ran")
        self._running = self._launcher.launch(self._commands.make(request))
        record = self._running.wait()
        self._running = None
        if self._stopped:
            raise Interrupted("stopped while the tests were running")
        return record or ExitRecord(ending=CommandEnding.ORPHANED, code=-1, reason="its shim died")


def _load(path: Path, kind: type[_Cached]) -> _Cached | None:
    """Read a cached result; None if there is none, or an earlier version wrote it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
