"""`cargo test`: the lines that Rust's test harness prints, and the error codes of the compiler.

Cargo compiles all tests before it runs any, so a missing name blocks the whole target. Stable Rust
has no other report: the harness writes JSON only with `-Z unstable-options`.
"""

import re
from collections.abc import Iterator
from itertools import count

from pipeline.core.evidence import FailureCause
from pipeline.gates.runners.base import (
    TEXT_MAX_CHARACTERS,
    RunOutput,
    TestCommandLine,
    TestRequest,
    index_after,
    skipped,
)
from pipeline.gates.runners.cargo_canary import canary_files, packages_of, selection
from pipeline.gates.runners.cargo_output import blocks
from pipeline.gates.testrun import (
    FailureReason,
    MissingName,
    TestCase,
    TestOutcome,
    TestReport,
)

_RUNNING = re.compile(
    r"^\s+Running (?P<unit>unittests )?(?P<file>\S+\.rs)"
    r"(?: \(\S*?(?P<crate>[^/\\\s]+)-[0-9a-f]+\S*\))?"
    r"|^\s+Doc-tests (?P<doc>\S+)"
)
_LINE = re.compile(r" \(line (\d+)\)")
_PRINTED = re.compile(r"^---- (.+) stdout ----$")
_ERROR = re.compile(r"^error(?:\[(E\d{4})\])?: (.+)$")
_ARROW = re.compile(r"^\s+--> ([^:]+\.rs):\d+")
_ASSERTION = re.compile(r"assertion|did not panic as expected")
_PANIC = re.compile(r"(?:panicked at |', )([^\s:'][^:\n]*\.rs):\d+:\d+:?$", re.MULTILINE)
"""`panicked at src/lib.rs:3:5:`, and before Rust 1.73 `panicked at 'message', src/lib.rs:3:5`."""

_FRAME = re.compile(r"^ +at (.+\.rs):\d+(?::\d+)?$", re.MULTILINE)
_MISSING_NAMES = {
    "E0061", "E0405", "E0412", "E0422", "E0423", "E0425", "E0432", "E0433", "E0560", "E0583",
    "E0599", "E0609",
}  # fmt: skip
"""Codes for names, fields, methods and parameters that do not exist (rustc 1.95 --explain)."""

_QUOTED = re.compile(r"`([^`]+)`")
_MISSING_MODULE = "E0583"
_MISSING_CRATE = "E0463"
_OUTCOMES = {"ok": TestOutcome.PASSED, "FAILED": TestOutcome.FAILED, "ignored": TestOutcome.SKIPPED}


def command_line(request: TestRequest) -> TestCommandLine:
    """Continue after failures, without colours, and add a test that must fail."""
    options_at = index_after(request.words, "test")
    argv = (
        *request.words[:options_at],
        "--no-fail-fast",
        "--color=never",
        *request.words[options_at:],
    )
    return TestCommandLine(argv=argv, files=canary_files(request))


def read(request: TestRequest, output: RunOutput) -> TestReport:
    """Read the output; test names are `FILE::module::test`."""
    stderr = output.errors()
    files = _files_run(request, stderr)
    if not files:
        broken = _compile_errors(request, stderr)
        problem = f"cargo ran no tests, exit status {output.code}: {output.excerpt}"
        return TestReport(
            uncollected=broken,
            blocked=("",) if broken else (),
            unreadable="" if broken else problem,
        )
    lines = output.lines()
    cases: list[tuple[str, int, TestCase]] = []
    printed = _printed_by_tests(lines)
    for number, part in enumerate(blocks(lines)):
        file = files[min(number, len(files) - 1)]
        for name, word, why_ignored in part.results:
            message = printed.get(name, why_ignored)
            own = _file_of_module(request, file, name)
            case = _case(request, _OUTCOMES[word], message, own)
            if not part.is_whole and case.outcome is TestOutcome.PASSED:
                case = _unfinished(own)
            place = _LINE.search(name)
            place_line = int(place.group(1)) if place else 0
            cases.append((f"{file}::{_LINE.sub('', name)}", place_line, case))
    return TestReport(tests=_numbered(cases), selects=selection(request))


def _file_of_module(request: TestRequest, file: str, name: str) -> str:
    """Return the file of a unit test's module if that is a test file, else that of the crate."""
    folder, modules = file.rpartition("/")[0], name.split("::")[:-1]
    inside = "/".join((folder, *modules)).lstrip("/")
    places = (f"{inside}.rs", f"{inside}/mod.rs") if modules else ()
    known = (path for path in request.tests() if path in places)
    return next(known, file)


def _unfinished(file: str) -> TestCase:
    """Return a test of which only a printed line says that it passed."""
    text = (
        "its process ended before the test harness told the results (no `test result:` line for "
        "all its tests), so what it printed is not believed"
    )
    reason = FailureReason(cause=FailureCause.UNKNOWN, what="no result", text=text, file=file)
    return TestCase(outcome=TestOutcome.FAILED, message=text, reason=reason, file=file)


def _files_run(request: TestRequest, stderr: list[str]) -> list[str]:
    """List the files that were run, in order, from the root of the tree.

    Cargo names them from the folder of their package, so in a workspace several have one name. The
    unit tests of a package come first and tell by their program whose files follow.
    """
    packages = packages_of(request)
    current, files = "", list[str]()
    for line in stderr:
        if (match := _RUNNING.match(line)) is None:
            continue
        if match["doc"]:
            files.append(request.from_root(f"doc {match['doc']}"))
            continue
        name = match["file"]
        there = [folder for folder in packages if f"{folder}/{name}".lstrip("/") in request.paths]
        if match["unit"]:
            named = [folder for folder in there if match["crate"] in packages[folder]]
            current = (named or there or [current])[0]
        elif there and current not in there:
            current = there[0]
        path = f"{current}/{name}".lstrip("/")
        files.append(path if there else request.from_root(name))
    return files


def _numbered(cases: list[tuple[str, int, TestCase]]) -> dict[str, TestCase]:
    """Number doc tests by item: cargo names them by line, which moves with any change above."""
    tests: dict[str, TestCase] = {}
    for plain, _, case in sorted(cases, key=lambda one: one[:2]):
        names = (f"{plain} ({number})" if number > 1 else plain for number in count(1))
        tests[next(name for name in names if name not in tests)] = case
    return tests


def _case(request: TestRequest, outcome: TestOutcome, message: str, file: str) -> TestCase:
    match outcome:
        case TestOutcome.FAILED:
            reason = reason_of(request, message, file)
            text = message[:TEXT_MAX_CHARACTERS]
            return TestCase(
                outcome=outcome, message=message[:600], text=text, reason=reason, file=file
            )
        case TestOutcome.SKIPPED:
            return TestCase(outcome=outcome, reason=skipped(message, file, "ignored"), file=file)
        case _:
            return TestCase(outcome=outcome, file=file)


def reason_of(request: TestRequest, message: str, file: str) -> FailureReason:
    """Return why a test failed: an assertion, or any other panic, by what it printed."""
    raised = request.raised_in(_trace(message))
    return FailureReason(
        cause=FailureCause.ASSERTION if _ASSERTION.search(message) else raised,
        raised=raised,
        what="panic" if "panicked at" in message else "FAILED",
        text=message[:500],
        file=file,
    )


def _trace(message: str) -> Iterator[str]:
    """Yield the files of panics, then those of the backtrace, if one is printed."""
    for pattern in (_PANIC, _FRAME):
        yield from (match.group(1) for match in pattern.finditer(message))


def _printed_by_tests(lines: list[str]) -> dict[str, str]:
    """Return what each failing test printed."""
    printed: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if (name := _PRINTED.match(line)) is not None:
            current = printed.setdefault(name.group(1), [])
        elif line.startswith(("failures:", "test result:")):
            current = []
        else:
            current.append(line)
    return {name: "\n".join(part).strip() for name, part in printed.items()}


def _compile_errors(request: TestRequest, stderr: list[str]) -> dict[str, FailureReason]:
    """Return the files that do not compile, with the first error in each."""
    reasons: dict[str, FailureReason] = {}
    code, text = "", ""
    for line in stderr:
        if (error := _ERROR.match(line)) is not None:
            code, text = error.group(1) or "", error.group(2)
        elif text and (arrow := _ARROW.match(line)) is not None:
            file = request.own_file(arrow.group(1)) or request.from_root(arrow.group(1))
            reasons.setdefault(file, _compile_error(request, code, text, file))
            text = ""
    return reasons


def _compile_error(request: TestRequest, code: str, text: str, file: str) -> FailureReason:
    """Return the reason for an error code.

    rustc does not say whose a missing name is, so it counts as the project's own.
    """
    cause, missing = FailureCause.NOT_COLLECTED, None
    if code in _MISSING_NAMES:
        cause = FailureCause.MISSING_NAME
        quoted = _QUOTED.search(text)
        name = quoted.group(1) if quoted else text
        missing = MissingName(owner="", name=name, is_module=code == _MISSING_MODULE)
    elif code == _MISSING_CRATE:
        cause = FailureCause.MISSING_PACKAGE
    return FailureReason(
        cause=cause,
        raised=request.raised_in([file]),
        what=f"compile error {code}".strip(),
        text=text,
        missing=missing,
        file=file,
    )
