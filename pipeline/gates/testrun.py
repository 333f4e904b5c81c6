"""One run of a target's tests on one exact tree, and what it showed.

The outcome of every test comes from the JUnit report; the probe (a pytest plugin of ours) adds why a
test failed and from where the source was imported. A report without the canary's failure is not
believed.
"""

import os
import xml.etree.ElementTree as ET
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
    """Why a test failed: exception type, its text, the missing `[owner, name]` if one was, the file."""

    type: str
    text: str = ""
    missing: tuple[str, str] | None = None
    file: str = ""


class TestCase(msgspec.Struct, frozen=True, kw_only=True):
    """One test of one run."""

    outcome: TestOutcome
    message: str = ""
    reason: Reason | None = None


class TestRun(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of the tests showed. `problem` says why the run as a whole cannot be believed."""

    tree: str
    tests: dict[str, TestCase] = {}
    uncollected: dict[str, Reason] = {}
    foreign: dict[str, str] = {}
    imported: tuple[str, ...] = ()
    problem: str = ""
    duration_s: float = 0.0
    command: str = ""

    def named(self, *outcomes: TestOutcome) -> list[str]:
        """List the tests with one of these outcomes."""
        return [name for name, case in self.tests.items() if case.outcome in outcomes]

    @property
    def failing(self) -> list[str]:
        """List the tests that failed or broke."""
        return self.named(TestOutcome.FAILED, TestOutcome.ERROR)


class _Probe(msgspec.Struct):
    reasons: dict[str, Reason] = {}
    origins: dict[str, str] = {}


class Traces(msgspec.Struct, frozen=True, kw_only=True):
    """What a test command left behind: its report, the probe's notes, exit status, the end of its output."""

    report: Path
    probe: Path
    canary: str
    code: int
    output: str
    command: str
    duration_s: float


def read_run(tree: str, root: Path, left: Traces) -> TestRun:
    """Put report, probe and exit status together. `root` is the checkout the tests ran in."""
    seen = _read_probe(left.probe)
    seen.reasons = {name: reason for name, reason in seen.reasons.items() if f"::test_{left.canary}_" not in name}
    try:
        cases = _read_junit(left.report, seen.reasons)
    except (OSError, ET.ParseError) as exc:
        tail = left.output.strip()[-500:]
        problem = f"the tests left no report ({type(exc).__name__}), exit status {left.code}: {tail}"
        return TestRun(tree=tree, problem=problem, duration_s=left.duration_s, command=left.command)
    witnesses = [cases.pop(name) for name in list(cases) if f"::test_{left.canary}_" in name]
    uncollected = {name: reason for name, reason in seen.reasons.items() if _is_file(name, reason, cases)}
    for name in uncollected:
        cases.pop(name, None)
    top = os.path.realpath(root)
    foreign = {name: file for name, file in seen.origins.items() if not file.startswith(top + os.sep)}
    problem = ""
    if not witnesses or any(witness.outcome is not TestOutcome.FAILED for witness in witnesses):
        problem = "the engine's own failing test is not in the report as failed: the report is not believed"
    return TestRun(
        tree=tree,
        tests=cases,
        uncollected={reason.file or name: reason for name, reason in uncollected.items()},
        foreign=foreign,
        imported=tuple(sorted(seen.origins)),
        problem=problem,
        duration_s=left.duration_s,
        command=left.command,
    )


def _is_file(name: str, reason: Reason, cases: Mapping[str, TestCase]) -> bool:
    """Tell a file that could not be collected from a test that failed."""
    case = cases.get(name)
    is_module = name.startswith("::") or (case is not None and case.message == "collection failure")
    return bool(reason.file) and (is_module or case is None)


def _read_probe(path: Path) -> _Probe:
    merged = _Probe()
    for part in sorted(path.parent.glob(path.name + "*")):
        try:
            one = msgspec.json.decode(part.read_bytes(), type=_Probe)
        except (OSError, msgspec.DecodeError):
            continue
        merged.reasons.update(one.reasons)
        merged.origins.update(one.origins)
    return merged


def _read_junit(path: Path, reasons: Mapping[str, Reason]) -> dict[str, TestCase]:
    cases: dict[str, TestCase] = {}
    for element in ET.parse(path).getroot().iter("testcase"):  # noqa: S314 - written by the run we started
        name = f"{element.get('classname', '')}::{element.get('name', '')}"
        case = _case(element, reasons.get(name))
        known = cases.get(name)
        if known is None or known.outcome is TestOutcome.PASSED:
            cases[name] = case
    return cases


def _case(element: ET.Element, reason: Reason | None) -> TestCase:
    for tag, outcome in (
        ("error", TestOutcome.ERROR),
        ("failure", TestOutcome.FAILED),
        ("skipped", TestOutcome.SKIPPED),
    ):
        found = element.find(tag)
        if found is not None:
            return TestCase(outcome=outcome, message=(found.get("message") or "").strip()[:600], reason=reason)
    return TestCase(outcome=TestOutcome.PASSED)
