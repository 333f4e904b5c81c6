"""What gates find out, as values: one of four verdicts, and evidence in a struct for each gate.

Every reader has to say what it makes of each verdict: only `PASSED` means that a gate looked and
found all well. The words are for people and for agents; no code reads them.
"""

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from pipeline.language.flow import GateName
from pipeline.language.schemas import Finding, TestDelivery


class GateVerdict(StrEnum):
    """What became of one look at a tree."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"
    COULD_NOT_LOOK = "could_not_look"

    @property
    def blocks(self) -> bool:
        """Whether a stage cannot be accepted with it; nobody looked is no better than failed."""
        return self in {GateVerdict.FAILED, GateVerdict.COULD_NOT_LOOK}

    @property
    def words(self) -> str:
        """The verdict in plain words, for tables and logs."""
        return self.value.replace("_", " ")


class FailureCause(StrEnum):
    """Why one test failed or did not run, in no language's own terms; runners translate into it."""

    ASSERTION = "assertion"
    MISSING_NAME = "missing_name"
    MISSING_PACKAGE = "missing_package"
    RAISED_IN_SOURCE = "raised_in_source"
    RAISED_IN_TEST = "raised_in_test"
    NOT_COLLECTED = "not_collected"
    SKIPPED = "skipped"
    TIMED_OUT = "timed_out"
    EXIT_STATUS = "exit_status_only"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        """The cause in plain words."""
        return self.value.replace("_", " ")


class NewTests(msgspec.Struct, frozen=True, kw_only=True):
    """What is new in one target, as the red gate saw it.

    `tests` are new or changed tests by name with why they fail before the change, and `kinds` with
    what was raised and where; `files` are new test files that cannot be loaded yet, `functions`
    their tests as their text shows them. `passing` tests pass already, as the test stage said.
    `missing` are the modules that were not there.
    """

    tests: dict[str, FailureCause] = {}
    kinds: dict[str, str] = {}
    files: dict[str, FailureCause] = {}
    functions: dict[str, tuple[str, ...]] = {}
    passing: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class RedEvidence(msgspec.Struct, frozen=True, kw_only=True, tag="red"):
    """The new tests of each target by its name, and what the test stage said of them.

    `rewritten` are the names of `kept` tests whose text is another, though they pass before and
    after.
    """

    targets: dict[str, NewTests] = {}
    delivery: TestDelivery = TestDelivery()
    rewritten: tuple[str, ...] = ()

    def of(self, target: str) -> NewTests:
        """Return what is new in one target; nothing for a target that was not looked at."""
        return self.targets.get(target, NewTests())

    @property
    def all(self) -> NewTests:
        """What is new in all targets together."""
        return NewTests(
            tests={name: why for one in self.targets.values() for name, why in one.tests.items()},
            kinds={name: kind for one in self.targets.values() for name, kind in one.kinds.items()},
            files={name: why for one in self.targets.values() for name, why in one.files.items()},
            functions={
                file: names
                for one in self.targets.values()
                for file, names in one.functions.items()
            },
            passing=tuple(name for one in self.targets.values() for name in one.passing),
            missing=tuple(sorted({name for one in self.targets.values() for name in one.missing})),
        )


class OwnCommand(msgspec.Struct, frozen=True, kw_only=True):
    """The person's own test command, as it stands in the flow: its exit status here and before.

    None: it was not run. `is_flaky`: it failed first and ended with zero when it was run again.
    """

    command: str
    code: int | None
    base_code: int | None = None
    is_flaky: bool = False


class GreenEvidence(msgspec.Struct, frozen=True, kw_only=True, tag="green"):
    """How many tests ran; `new` are the new ones that passed, each with its file.

    `flaky` failed and then passed, `known_failures` fail on the base too. `set_apart` are old tests
    that did not run, neither here nor in a second run of the base. `commands` are the person's own.
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    new: dict[str, str] = {}
    flaky: tuple[str, ...] = ()
    known_failures: tuple[str, ...] = ()
    set_apart: tuple[str, ...] = ()
    commands: tuple[OwnCommand, ...] = ()


class Survivor(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that no test noticed: where it was put, and what it did there."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        """Name the place first, as compilers do."""
        return f"{self.file}:{self.line}: {self.what}"


class UntriedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A changed source file into which no fault could be put, and why."""

    file: str
    why: str


class FaultEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What single faults showed: `tried` of them, `noticed` by a new test, the others by place.

    `noticed_by_old` were noticed by old tests alone, which says nothing of the new ones. Whole
    bodies taken away are counted apart, because almost any test notices them. `broken` could not be
    built or loaded, which proves nothing; `not_tried` were left out when the limit of number or
    time was reached. `untested` are functions and hunks of which no fault was noticed. The verdict
    is `not applicable`, with the reason in words, where no fault could be tried.
    """

    verdict: GateVerdict
    why: str = ""
    noticed: int = 0
    noticed_by_old: int = 0
    survivors: tuple[Survivor, ...] = ()
    bodies_noticed: int = 0
    bodies_tried: int = 0
    broken: int = 0
    not_tried: int = 0
    untested: tuple[str, ...] = ()
    untried_files: tuple[UntriedFile, ...] = ()

    @property
    def tried(self) -> int:
        """How many faults were tried to their end, without bodies taken away."""
        return self.noticed + len(self.survivors) - (self.bodies_tried - self.bodies_noticed)

    @property
    def all_tried(self) -> int:
        """How many faults were tried to their end, with bodies taken away."""
        return self.tried + self.bodies_tried

    @property
    def all_noticed(self) -> int:
        """How many of those were noticed."""
        return self.noticed + self.bodies_noticed


class ProofEvidence(msgspec.Struct, frozen=True, kw_only=True, tag="proof"):
    """How many of the new tests (or files) fail again without the source change, and the faults.

    `faults` is None when the gate did not get that far.
    """

    failed_again: int = 0
    new: int = 0
    faults: FaultEvidence | None = None


class NoticedEvidence(msgspec.Struct, frozen=True, kw_only=True, tag="noticed"):
    """The faults that all tests notice in the changed lines, on the base and now."""

    before: FaultEvidence
    now: FaultEvidence


class CheckRun(msgspec.Struct, frozen=True, kw_only=True):
    """One check of a target: what it finds that is new, and how much the base had already."""

    target: str
    command: str
    verdict: GateVerdict
    new: tuple[str, ...] = ()
    known: int = 0
    why: str = ""


class ChecksEvidence(msgspec.Struct, frozen=True, kw_only=True, tag="checks"):
    """Every check that was run or should have been."""

    checks: tuple[CheckRun, ...] = ()


class FindingsEvidence(msgspec.Struct, frozen=True, kw_only=True, tag="findings"):
    """The reviewers' findings that have a place; `dropped` had none."""

    blocking: tuple[Finding, ...] = ()
    minor: tuple[Finding, ...] = ()
    dropped: int = 0


class UntamperedEvidence(msgspec.Struct, frozen=True, kw_only=True, tag="untampered"):
    """Which tree holds the tests as they were delivered, and which of them differ now.

    `settings` of tests and checks were loosened, `observers` run inside the tests or ask for them;
    each begins with its place.
    """

    delivered: str
    changed: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    observers: tuple[str, ...] = ()


class DocumentsEvidence(msgspec.Struct, frozen=True, kw_only=True, tag="documents"):
    """What the changelogs do not tell of, a line for each target."""

    missing: tuple[str, ...] = ()


Evidence = (
    RedEvidence
    | GreenEvidence
    | ProofEvidence
    | NoticedEvidence
    | ChecksEvidence
    | FindingsEvidence
    | UntamperedEvidence
    | DocumentsEvidence
)


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one gate found on one tree.

    `detail` says it in one line for people, `failures` is the feedback for whoever has to do
    better. `evidence` is None when the gate did not get as far as having any.
    """

    gate: GateName
    verdict: GateVerdict
    tree: str
    detail: str
    failures: tuple[str, ...] = ()
    evidence: Evidence | None = None

    @property
    def passed(self) -> bool:
        """Whether the gate looked and found all well: not the same as not being stopped by it."""
        return self.verdict is GateVerdict.PASSED


class NewTest(msgspec.Struct, frozen=True, kw_only=True):
    """A new test before and after the change.

    `before` is None for a test that could not be named before, because its file could not be
    loaded; then `file_before` says why. `after` is True when it passed, None when it was not run.
    """

    name: str
    before: FailureCause | None
    file_before: FailureCause | None
    after: bool | None

    @property
    def words(self) -> tuple[str, str]:
        """How it stood before and after, for tables."""
        cause = self.before or self.file_before
        before = f"red ({cause.words if cause is not None else 'not there'})"
        return before, "not run" if self.after is None else "green" if self.after else "red"


def new_tests(red: GateResult | None, green: GateResult | None) -> Iterator[NewTest]:
    """Yield every new test with how it failed before the change and how it ended after it."""
    before = red.evidence.all if red and isinstance(red.evidence, RedEvidence) else NewTests()
    passed = green.evidence.new if green and isinstance(green.evidence, GreenEvidence) else {}
    for name in (*before.tests, *(name for name in passed if name not in before.tests)):
        yield NewTest(
            name=name,
            before=before.tests.get(name),
            file_before=before.files.get(passed.get(name, "")),
            after=True if name in passed else None if green is None else False,
        )
