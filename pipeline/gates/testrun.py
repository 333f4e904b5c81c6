"""One run of a target's tests on one exact tree, and what it showed, whichever program ran them.

The outcome of every test comes from the runner's own report; why a test failed, from what the
runner tells of it (for pytest a probe of ours notes it). A report without the failure of the
engine's own canary is not believed.
"""

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec


class TestOutcome(StrEnum):
    """How one test ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


class Reason(msgspec.Struct, frozen=True):
    """Why a test failed.

    Exception type, its text, the missing `[owner, name]` if one was, the file.

    An empty owner means: one of the project's own, as far as the runner can tell.
    """

    type: str
    text: str = ""
    missing: tuple[str, str] | None = None
    file: str = ""


class TestCase(msgspec.Struct, frozen=True, kw_only=True):
    """One test of one run.

    `file` is the file it stands in, from the root of the tree, where that is known.
    """

    outcome: TestOutcome
    message: str = ""
    reason: Reason | None = None
    file: str = ""


class TestRun(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of the tests showed. `problem` says why the run as a whole cannot be believed.

    `uncollected` are files that could not be loaded, with the reason; the names of tests that could
    not be run for that begin with one of `blocked`. `foreign` is source that was imported from
    outside the tree. A `weak` run knows only whether all tests passed.
    """

    tree: str
    tests: dict[str, TestCase] = {}
    uncollected: dict[str, Reason] = {}
    blocked: tuple[str, ...] = ()
    foreign: dict[str, str] = {}
    imported: tuple[str, ...] = ()
    problem: str = ""
    weak: bool = False
    duration_s: float = 0.0
    command: str = ""

    def named(self, *outcomes: TestOutcome) -> list[str]:
        """List the tests with one of these outcomes."""
        return [name for name, case in self.tests.items() if case.outcome in outcomes]

    @property
    def failing(self) -> list[str]:
        """List the tests that failed or broke."""
        return self.named(TestOutcome.FAILED, TestOutcome.ERROR)

    def is_blocked(self, name: str) -> bool:
        """Tell whether a test could not be run because its file could not be loaded."""
        return name.startswith(self.blocked)


class Seen(msgspec.Struct, kw_only=True):
    """What a runner's report says, canaries included.

    `origins` tells from which file each source was imported.

    `unreadable` says why there is no report.
    """

    tests: dict[str, TestCase] = {}
    uncollected: dict[str, Reason] = {}
    blocked: tuple[str, ...] = ()
    origins: Mapping[str, str] = {}
    unreadable: str = ""
    weak: bool = False


def believed(
    seen: Seen, *, tree: str, root: Path, canary: str, command: str, duration_s: float
) -> TestRun:
    """Take the canaries out of a report; one that did not fail makes all of it a forgery.

    `root` is the checkout.
    """
    witnesses = [seen.tests.pop(name) for name in list(seen.tests) if canary in name]
    top = os.path.realpath(root)
    problem = seen.unreadable
    fooled = not witnesses or any(one.outcome is not TestOutcome.FAILED for one in witnesses)
    if not problem and fooled and not seen.weak and not _all_blocked(seen):
        problem = "the engine's own failing test is not in the report as failed: the report is not believed"
    return TestRun(
        tree=tree,
        tests=seen.tests,
        uncollected=seen.uncollected,
        blocked=seen.blocked,
        foreign={
            name: file for name, file in seen.origins.items() if not file.startswith(top + os.sep)
        },
        imported=tuple(sorted(seen.origins)),
        problem=problem,
        weak=seen.weak,
        duration_s=duration_s,
        command=command,
    )


def _all_blocked(seen: Seen) -> bool:
    """A program that could not be compiled ran nothing, so it claims no test as passed either."""
    return bool(seen.uncollected) and not any(
        case.outcome is TestOutcome.PASSED for case in seen.tests.values()
    )
