"""One run of a target's tests on one exact tree, and its results, whichever program ran them.

The outcome of every test comes from the runner's report, and so does the cause of a failure, except
that for pytest a plugin of ours records causes. A report without the failure of the engine's own
canary is not believed.
"""

import os
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from pipeline.core.evidence import FailureCause


class TestOutcome(StrEnum):
    """How one test ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


_HEADING = re.compile(r"(?:_{3,}|={3,}) ?\S")
_CONSONANTS, _VOWELS = "bdfgklmnprstvwzj", "aeio"
_NOT_PASSED = {TestOutcome.FAILED, TestOutcome.ERROR}


_CANNOT_RUN_STATUSES = (126, 127)
"""Exit statuses of a shell that cannot run a command: not executable, not found (POSIX)."""


class MissingName(msgspec.Struct, frozen=True, kw_only=True):
    """A name that does not exist: `name` in `owner`, a module or class.

    An empty owner means one of the project's own, as far as the runner knows. `is_module` is true
    for a whole module that is missing; its name is the `owner` then, or the `name` if the owner is
    empty.
    """

    owner: str
    name: str = ""
    is_module: bool = False


class FailureReason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a test failed or was skipped, or why a file could not be loaded.

    Code decides by `cause`. For a missing name, `raised` is the cause if the name turns out not to
    be the project's own: where the exception was raised. `what` is the runner's term (the type of
    an exception, the code of a compiler error) and `text` its message, both for people. `file` is
    the test's file.
    """

    cause: FailureCause
    raised: FailureCause = FailureCause.UNKNOWN
    what: str = ""
    text: str = ""
    missing: MissingName | None = None
    file: str = ""


class ProblemKind(StrEnum):
    """Why the results of a whole test run cannot be used."""

    SETUP_FAILED = "setup_failed"
    SERVICE_DOWN = "service_down"
    DID_NOT_END = "did_not_end"
    TOO_MUCH_MEMORY = "too_much_memory"
    NO_REPORT = "no_report"
    FORGED = "forged"


class RunProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run as a whole cannot be used; `text` is for people."""

    kind: ProblemKind
    text: str

    @property
    def is_failure(self) -> bool:
        """Whether the tree is to blame; otherwise nothing could be verified."""
        return self.kind is ProblemKind.FORGED


class CommandResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a shell command on an exact tree; `tree` is the tree that it left behind."""

    code: int
    output: str
    tree: str
    problem: str = ""

    @property
    def could_not_run(self) -> bool:
        """Whether the command is not installed or was stopped, so that its status means nothing."""
        return bool(self.problem) or self.code in _CANNOT_RUN_STATUSES


class TestCase(msgspec.Struct, frozen=True, kw_only=True):
    """One test of one run; `file` is its file from the root of the tree, if that is known.

    `message` is the beginning of what it failed with, `text` all of it, with the trace.
    """

    outcome: TestOutcome
    message: str = ""
    text: str = ""
    reason: FailureReason | None = None
    file: str = ""


class CommandRun(msgspec.Struct, frozen=True, kw_only=True):
    """The person's own test command on one tree: its exit status and its last lines.

    `problem` says why it did not come to its end, so that the status means nothing.
    """

    code: int
    output: str = ""
    problem: str = ""


class TestRun(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one run of the tests.

    `problem` says why the run as a whole cannot be used. `uncollected` are files that could not be
    loaded, with the reason; the names of the tests that could not run because of that begin with
    one of `blocked`. `foreign` is source that was imported from outside the tree. `above` are
    failures that belong to no test (coverage, unhandled errors, a process that ended badly), by a
    key that is the same for the same failure on another tree. `products` are files that a run on
    the base has left behind. A `weak` run knows only whether all tests passed. `code` is the exit
    status, which with a canary says nothing. `flaky` failed first and passed when run again.
    """

    tree: str
    tests: dict[str, TestCase] = {}
    uncollected: dict[str, FailureReason] = {}
    blocked: tuple[str, ...] = ()
    foreign: dict[str, str] = {}
    imported: tuple[str, ...] = ()
    above: dict[str, str] = {}
    products: tuple[str, ...] = ()
    problem: RunProblem | None = None
    weak: bool = False
    code: int = 0
    duration_s: float = 0.0
    command: str = ""
    flaky: tuple[str, ...] = ()

    def named(self, *outcomes: TestOutcome) -> list[str]:
        """List the tests with one of these outcomes."""
        return [name for name, case in self.tests.items() if case.outcome in outcomes]

    def files(self) -> dict[str, str]:
        """Return all tests, each with its file."""
        return {name: case.file for name, case in self.tests.items()}

    @property
    def failing(self) -> list[str]:
        """The tests that failed, or ended with an error."""
        return self.named(TestOutcome.FAILED, TestOutcome.ERROR)

    def is_blocked(self, name: str) -> bool:
        """Return whether a test could not run because its file could not be loaded."""
        return name.startswith(self.blocked)


class TestReport(msgspec.Struct, kw_only=True):
    """What a runner's report says, canaries included.

    `origins` has the file from which each source module was imported. `unreadable` says why there
    is no report. `died`: a failing test took its process with it, and the tests after it did not
    run, perhaps the canary among them. `selects` are words of the command by which it runs only
    some tests.
    """

    tests: dict[str, TestCase] = {}
    uncollected: dict[str, FailureReason] = {}
    blocked: tuple[str, ...] = ()
    origins: Mapping[str, str] = {}
    above: dict[str, str] = {}
    unreadable: str = ""
    weak: bool = False
    died: bool = False
    selects: str = ""


def without_canaries(
    report: TestReport,
    *,
    tree: str,
    root: Path,
    canary: str,
    command: str,
    code: int,
    duration_s: float,
) -> TestRun:
    """Return a report without its canaries; if one of them did not fail, the report is forged.

    `root` is the checkout.
    """
    names = [name for name in report.tests if canary in name]
    canaries = [report.tests.pop(name) for name in names]
    # The probe reports real paths, and the state folder may be behind a link (/tmp on macOS).
    top = os.path.realpath(root)
    origins = report.origins.items()
    return TestRun(
        tree=tree,
        tests=report.tests,
        uncollected=report.uncollected,
        blocked=report.blocked,
        foreign={name: file for name, file in origins if not file.startswith(top + os.sep)},
        imported=tuple(sorted(report.origins)),
        above=report.above,
        problem=_problem(report, canaries),
        weak=report.weak,
        code=code,
        duration_s=duration_s,
        command=command,
    )


def _problem(report: TestReport, canaries: Sequence[TestCase]) -> RunProblem | None:
    """Return why a report cannot be used; `canaries` are those that were removed from it."""
    if report.unreadable:
        return RunProblem(kind=ProblemKind.NO_REPORT, text=report.unreadable)
    # A fixture that all tests of its module have can end it with an error: it did not pass either.
    failed = bool(canaries or report.died) and all(one.outcome in _NOT_PASSED for one in canaries)
    if failed or report.weak or _all_blocked(report):
        return None
    if report.selects and all(one.outcome is TestOutcome.SKIPPED for one in canaries):
        text = (
            f"the command runs only some tests ({report.selects}), and the engine's own failing "
            "test is not among them, so its report cannot be verified; write a command that "
            "runs all tests of the target"
        )
        return RunProblem(kind=ProblemKind.NO_REPORT, text=text)
    return RunProblem(
        kind=ProblemKind.FORGED,
        text="the engine's own failing test is not in the report as failed: "
        "the report is not believed; look for what hides failures or empties assertions",
    )


def _all_blocked(report: TestReport) -> bool:
    """Return whether nothing could be compiled: then no test is reported as passed either."""
    return bool(report.uncollected) and not any(
        case.outcome is TestOutcome.PASSED for case in report.tests.values()
    )


def name_of_canary(data: bytes) -> str:
    """Return a name that no pattern tells from other names: a consonant and a vowel a byte."""
    return "".join(_CONSONANTS[byte % 16] + _VOWELS[byte // 16 % 4] for byte in data)


def without_canary(text: str, canary: str) -> str:
    """Return what a runner printed without what it says of the engine's own failing tests.

    Those are what follows a heading of pytest's with the canary's name, and lines that name it.
    """
    kept, is_ours = [], False
    for line in text.splitlines(keepends=True):
        if _HEADING.match(line):
            is_ours = canary in line
        if not is_ours and canary not in line:
            kept.append(line)
    return "".join(kept)


def without_flaky(first: TestRun, again: TestRun) -> TestRun:
    """Return the first run with those failing tests as passed that passed in the second."""
    passed = set(again.named(TestOutcome.PASSED))
    flaky = tuple(name for name in first.failing if name in passed)
    tests = first.tests | {name: again.tests[name] for name in flaky}
    return msgspec.structs.replace(first, tests=tests, flaky=flaky)
