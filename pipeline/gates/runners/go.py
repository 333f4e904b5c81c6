"""`go test`: its JSON events (`go doc test2json`), and the compiler's messages for missing names.

Go compiles the tests of a package together, so one missing name blocks all of them.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import msgspec

from pipeline.core.evidence import FailureCause
from pipeline.gates.runners.base import (
    TEXT_MAX_CHARACTERS,
    RunOutput,
    TestCommandLine,
    TestRequest,
    index_after,
    skipped,
)
from pipeline.gates.testrun import (
    FailureReason,
    MissingName,
    TestCase,
    TestOutcome,
    TestReport,
)

_WHERE = re.compile(r"^(?:vet: )?(?P<file>\S+\.go):\d+:\d+: (?P<text>.+)$")
_UNBUILT = re.compile(r"^FAIL\s+(\S+) \[(?:build|setup) failed\]")
"""Go before 1.24 reports this as plain text between the events; later versions have an event."""

_MISSING = re.compile(
    r"undefined|not declared|unknown field|too many arguments|not enough arguments"
    r"|has no field or method|in argument to|missing method"
)
_NO_PACKAGE = re.compile(
    r"is not in (?:GOROOT|std)|no required module provides|cannot find (?:module|package)"
)
_UNDEFINED = re.compile(r"undefined: (\S+)")
_FRAME = re.compile(r"^\t(.+\.go):\d+", re.MULTILINE)
_SELECTS = re.compile(r"^--?(?:test\.)?(?:run|skip)\b")
_OWN_PLACE = re.compile(r"^\S+\.go:\d+: ")
_TEST = re.compile(rb"^func (Test\w+|Fuzz\w+|Example\w*)\(", re.MULTILINE)
_OUTCOMES = {"pass": TestOutcome.PASSED, "fail": TestOutcome.FAILED, "skip": TestOutcome.SKIPPED}


class _GoEvent(msgspec.Struct):
    Action: str = ""
    Package: str = ""
    Test: str = ""
    Output: str = ""
    ImportPath: str = ""


def command_line(request: TestRequest) -> TestCommandLine:
    """Ask for JSON, and add a test that must fail to every package that has tests."""
    options_at = index_after(request.words, "test")
    argv = [*request.words[:options_at], "-json", *request.words[options_at:]]
    folders = sorted({str(PurePosixPath(request.local(path)).parent) for path in request.only})
    if folders:
        argv = [word for word in argv if not _is_package(word)] + [
            f"./{folder}" for folder in folders
        ]
    return TestCommandLine(argv=tuple(argv), files=_canaries(request))


def read(request: TestRequest, output: RunOutput) -> TestReport:
    """Read the events; test names are `FOLDER::TestName/sub`."""
    module = _module(request)
    printed: dict[str, list[str]] = {}
    report = TestReport(tests={}, uncollected={})
    files = _files_of(request)
    blocked: list[str] = []
    died: list[str] = []
    events = _events(output)
    for event in events:
        folder = _folder(request, event.Package, module)
        name = f"{folder}::{event.Test}"
        if event.Action == "output" and event.Test:
            printed.setdefault(name, []).append(event.Output)
        elif event.Test and event.Action in _OUTCOMES:
            file = files.get(f"{folder}::{event.Test.partition('/')[0]}", "")
            text = "".join(printed.get(name, []))
            report.tests[name] = _case(request, _OUTCOMES[event.Action], text, file)
        elif event.Action == "fail" and not any(
            test.startswith(f"{folder}::") for test in report.tests
        ):
            blocked.append(f"{folder}::")
        elif event.Action == "fail" and _has_panicked(printed, folder):
            died.append(f"{folder}::")
    unbuilt = filter(None, map(_UNBUILT.match, output.lines()))
    blocked += [f"{_folder(request, one.group(1), module)}::" for one in unbuilt]
    if not events and not blocked:
        report.unreadable = f"go test left no events, exit status {output.code}: {output.excerpt}"
    if blocked:
        report.uncollected = _uncollected(request, output, tuple(blocked))
    report.blocked, report.died = (*blocked, *died), bool(died)
    report.selects = " ".join(word for word in request.words if _SELECTS.match(word))
    return report


def _has_panicked(printed: Mapping[str, list[str]], folder: str) -> bool:
    """Return whether a test of a package ended its process: those after it did not run."""
    return any(
        _is_panic(line)
        for name, lines in printed.items()
        if name.startswith(f"{folder}::")
        for line in lines
    )


def _folder(request: TestRequest, package: str, module: str) -> str:
    """Return the folder of a package, from the root of the tree; `.` for the root itself."""
    return request.from_root(package.removeprefix(module).strip("/").partition(" ")[0] or ".")


def _case(request: TestRequest, outcome: TestOutcome, text: str, file: str) -> TestCase:
    if outcome is TestOutcome.PASSED:
        return TestCase(outcome=outcome, file=file)
    lines = [line.strip() for line in text.splitlines() if not line.startswith(("=== ", "--- "))]
    message = "\n".join(line for line in lines if line)[:600]
    if outcome is TestOutcome.SKIPPED:
        reason = skipped(_OWN_PLACE.sub("", message), file)
        return TestCase(outcome=outcome, reason=reason, file=file)
    reason = _reason(request, text, message, file)
    text = text[-TEXT_MAX_CHARACTERS:]
    return TestCase(outcome=outcome, message=message, text=text, reason=reason, file=file)


def _reason(request: TestRequest, text: str, message: str, file: str) -> FailureReason:
    """Return why a test failed: by itself (`t.Error`, `t.Fatal`), a panic, or its time limit."""
    panic = next((line for line in map(str.strip, text.splitlines()) if _is_panic(line)), "")
    if not panic:
        return FailureReason(cause=FailureCause.ASSERTION, what="FAIL", text=message, file=file)
    raised = request.raised_in(_trace(text, _module(request)))
    timed_out = panic.startswith("panic: test timed out after")
    return FailureReason(
        cause=FailureCause.TIMED_OUT if timed_out else raised,
        raised=raised,
        what="panic",
        text=message,
        file=file,
    )


def _is_panic(line: str) -> bool:
    return line.startswith("panic:")


def _trace(text: str, module: str) -> Iterator[str]:
    """Yield the files of the traces after a panic, the innermost of the first goroutine first.

    With `-trimpath` the files begin with the module's path instead of an absolute one.
    """
    for match in _FRAME.finditer(text[text.index("panic:") :]):
        yield match.group(1).removeprefix(f"{module}/")


def _uncollected(
    request: TestRequest, output: RunOutput, blocked: tuple[str, ...]
) -> dict[str, FailureReason]:
    """Return the files with compile errors; in each, a missing name goes before other errors."""
    reasons: dict[str, FailureReason] = {}
    for raw in (*output.lines(), *output.errors()):
        for line in _plain(raw).splitlines():
            match = _WHERE.match(line.strip())
            if match is None:
                continue
            reason = _compile_error(request, request.from_root(match["file"]), match["text"])
            if reason.file not in reasons or (
                reason.missing and reasons[reason.file].missing is None
            ):
                reasons[reason.file] = reason
    unknown = FailureReason(
        cause=FailureCause.NOT_COLLECTED, what="compile error", text=output.excerpt
    )
    return reasons or {package.removesuffix("::"): unknown for package in blocked}


def _compile_error(request: TestRequest, file: str, text: str) -> FailureReason:
    """Return the reason for one compile error.

    Go does not say whose a missing name or package is, so all count as the project's own.
    """
    raised = request.raised_in([file])
    missing = None
    if _NO_PACKAGE.search(text):
        missing = MissingName(owner="", name=text, is_module=True)
    elif _MISSING.search(text):
        undefined = _UNDEFINED.search(text)
        missing = MissingName(owner="", name=undefined.group(1) if undefined else text)
    cause = FailureCause.MISSING_NAME if missing else FailureCause.NOT_COLLECTED
    return FailureReason(
        cause=cause, raised=raised, what="compile error", text=text, missing=missing, file=file
    )


def _plain(line: str) -> str:
    """Return the text of an output event; other lines unchanged."""
    if not line.startswith("{"):
        return line
    try:
        return msgspec.json.decode(line, type=_GoEvent).Output
    except msgspec.DecodeError:
        return ""


def _events(output: RunOutput) -> list[_GoEvent]:
    events = []
    for line in output.lines():
        if line.startswith("{"):
            try:
                events.append(msgspec.json.decode(line, type=_GoEvent))
            except msgspec.DecodeError:
                continue
    return events


def _module(request: TestRequest) -> str:
    """Return the path of the module; all package names begin with it."""
    name = f"{request.target.folder}/go.mod" if request.target.folder else "go.mod"
    line = re.search(rb"^module\s+(\S+)", request.read(name) or b"", re.MULTILINE)
    return line.group(1).decode() if line else ""


def _files_of(request: TestRequest) -> dict[str, str]:
    """Return the file of each test function; the events do not name it."""
    files = {}
    for path in _test_files(request):
        folder = str(PurePosixPath(path).parent)
        for name in _TEST.findall(request.read(path) or b""):
            files[f"{folder}::{name.decode()}"] = path
    return files


def _test_files(request: TestRequest) -> list[str]:
    below = f"{request.target.folder}/" if request.target.folder else ""
    return [path for path in request.paths if path.endswith("_test.go") and path.startswith(below)]


def _canaries(request: TestRequest) -> dict[str, str]:
    files: dict[str, str] = {}
    below = f"{request.target.folder}/" if request.target.folder else ""
    code = [path for path in request.paths if path.endswith(".go") and path.startswith(below)]
    for path in _test_files(request) or code[:1]:
        folder = str(PurePosixPath(path).parent)
        package = re.search(rb"^package\s+(\w+)", request.read(path) or b"", re.MULTILINE)
        name = f"{folder}/idea_to_pr_{request.canary}_test.go".removeprefix("./")
        if package and name not in files:
            files[name] = (
                f'package {package.group(1).decode()}\n\nimport "testing"\n\n'
                f"func TestT{request.canary}(t *testing.T) {{\n"
                f'\tt.Fatal("this test of the engine\'s own always fails")\n}}\n'
            )
    return files


def _is_package(word: str) -> bool:
    return word.startswith("./") or word in {".", "..."}
