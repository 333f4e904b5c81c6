"""JUnit reports: any command that writes one, with `{report}` for the name of the file.

The format is what most tools agree on: `testcase` with `classname`, `name` and perhaps `file`, and
in it `failure`, `error` or `skipped` (https://github.com/testmoapp/junitxml).
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping

import msgspec

from pipeline.core.evidence import FailureCause
from pipeline.gates.runners import javascript_errors
from pipeline.gates.runners.base import (
    TEXT_MAX_CHARACTERS,
    RunOutput,
    TestCommandLine,
    TestRequest,
    no_report,
    skipped,
)
from pipeline.gates.testrun import FailureReason, TestCase, TestOutcome, TestReport
from pipeline.language.runners import PLACE

_TAGS = (
    ("error", TestOutcome.ERROR),
    ("failure", TestOutcome.FAILED),
    ("skipped", TestOutcome.SKIPPED),
)
_SEVERITY = {
    TestOutcome.PASSED: 0,
    TestOutcome.SKIPPED: 1,
    TestOutcome.FAILED: 2,
    TestOutcome.ERROR: 2,
}
_TIMED_OUT = re.compile(r"(?:execution|\w+\([\w, .]*\)) timed out after \d")
"""The messages of JUnit 5 (`assertTimeout`, `@Timeout`); JUnit 4 has that of `node --test`."""

_FILES = re.compile(
    r"at (?P<package>(?:[\w$]+\.)*)[\w$]+\.[\w$<>]+\((?P<simple>\w+\.\w+):\d+\)"
    r'|File "(?P<python>[^"]+)", line \d+'
    r"|(?<![\w@.~+/-])(?P<plain>[\w@.~+/-]+\.\w+):\d+"
)


def command_line(request: TestRequest) -> TestCommandLine:
    """Fill in the name of the report."""
    return TestCommandLine(
        argv=tuple(word.replace(PLACE, str(request.report)) for word in request.words)
    )


def read(request: TestRequest, output: RunOutput) -> TestReport:
    """Read the report; it has no canary, so a failure in it has to show in the exit status."""
    try:
        tests = cases(request, {}, request.from_root)
    except (OSError, ET.ParseError) as exc:
        return _unloaded(request, output) or no_report(exc, output)
    failed = any(case.outcome in {TestOutcome.FAILED, TestOutcome.ERROR} for case in tests.values())
    report = TestReport(tests=tests)
    if failed and output.code == 0:
        report.unreadable = "exit status 0, but the report says failed"
    # What the agreement has shown, in the form in which `without_canaries` expects it.
    tests[f"engine::{request.canary}"] = TestCase(outcome=TestOutcome.FAILED)
    return report


def _unloaded(request: TestRequest, output: RunOutput) -> TestReport | None:
    """Return the test files whose missing name kept mocha from running anything.

    Mocha loads all test files before it runs any; if one fails to load, it writes no report and
    does not name the file.
    """
    line = next((one for one in output.errors() if "rror: " in one), "")
    text = line.partition("Exception during run: ")[2]
    reason = javascript_errors.reason_of(request, text, "", set())
    if "mocha" not in request.words[0] or reason.missing is None:
        return None
    words = re.findall(r"'([^']+)'", line)
    texts = {path: (request.read(path) or b"").decode(errors="replace") for path in request.tests()}
    files = [path for path, text in texts.items() if all(word in text for word in words)]
    reasons = {file: msgspec.structs.replace(reason, file=file) for file in files}
    return TestReport(uncollected=reasons, blocked=("",)) if files else None


def cases(
    request: TestRequest,
    reasons: Mapping[str, FailureReason],
    from_root: Callable[[str], str],
) -> dict[str, TestCase]:
    """Read all test cases of the report by `classname::name`; `reasons` are those known already.

    Reports can have several cases of the same name (reruns, parameters without a name): a failure
    counts more than a skip, and a skip more than a pass, in whatever order they come.
    """
    tests: dict[str, TestCase] = {}
    root = ET.parse(request.report).getroot()  # noqa: S314 - written by the run we started
    for element in root.iter("testcase"):
        name = f"{element.get('classname', '')}::{element.get('name', '')}"
        file = from_root(element.get("file", "")) if element.get("file") else ""
        case = _case(request, element, reasons.get(name), file)
        if name not in tests or _SEVERITY[case.outcome] > _SEVERITY[tests[name].outcome]:
            tests[name] = case
    return tests


def _case(
    request: TestRequest, element: ET.Element, known: FailureReason | None, file: str
) -> TestCase:
    for tag, outcome in _TAGS:
        failure = element.find(tag)
        if failure is None:
            continue
        message = _message(failure)
        if outcome is TestOutcome.SKIPPED:
            reason = skipped(message, file, failure.get("type") or tag)
        else:
            reason = known or reason_of(request, failure, file)
        text = (failure.text or "")[-TEXT_MAX_CHARACTERS:]
        return TestCase(outcome=outcome, message=message, text=text, reason=reason, file=file)
    return TestCase(outcome=TestOutcome.PASSED, file=file)


def _message(failure: ET.Element) -> str:
    return (failure.get("message") or failure.text or "").strip()[:600]


def reason_of(request: TestRequest, failure: ET.Element, file: str = "") -> FailureReason:
    """Return the reason for a failure, by its `type`, or by its message if it has none."""
    kind = (failure.get("type") or "").rpartition(".")[2]
    message = _message(failure)
    text = "\n".join(filter(None, (failure.get("message"), failure.text)))
    raised = request.raised_in(_trace(request, text))
    words = javascript_errors.reason_of(request, message, file, set())
    reason = FailureReason(
        cause=raised, raised=raised, what=kind or "failure", text=message, file=file
    )
    if not kind and words.missing is not None:
        return msgspec.structs.replace(words, raised=raised)
    if words.cause is FailureCause.TIMED_OUT or _TIMED_OUT.match(message):
        return msgspec.structs.replace(reason, cause=FailureCause.TIMED_OUT)
    if _is_assertion(kind, message):
        return msgspec.structs.replace(reason, cause=FailureCause.ASSERTION)
    if words.cause is FailureCause.MISSING_PACKAGE:
        return msgspec.structs.replace(reason, cause=FailureCause.MISSING_PACKAGE)
    return reason


def _is_assertion(kind: str, message: str) -> bool:
    """Return whether a failure is an assertion, by its type or, without one, by its message.

    `Failed` is pytest's name for the exception of `pytest.fail`.
    """
    words = (kind or message).lower()
    return "assert" in words or kind == "Failed" or (not kind and "expected" in words)


def _trace(request: TestRequest, text: str) -> Iterator[str]:
    """Yield the files that a failure's text names, the innermost first.

    All traces begin with the innermost, except Python's. Java names a class, and a file without its
    folders.
    """
    matches = list(_FILES.finditer(text))
    if "Traceback (most recent call last)" in text:
        matches.reverse()
    for match in matches:
        if match["simple"]:
            end = "/" + match["package"].replace(".", "/") + match["simple"]
            yield next((path for path in request.paths if f"/{path}".endswith(end)), "")
        yield match["python"] or match["plain"] or match["simple"]
