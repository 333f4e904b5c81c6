"""`go test`.

Its stream of JSON events (`go doc test2json`), and the compiler's words for what is missing.

Go compiles a package's tests together: one name that is missing blocks all tests of that package.
"""

import re
from pathlib import PurePosixPath

import msgspec

from pipeline.gates.runners.base import Ask, Call, Left, after
from pipeline.gates.testrun import Reason, Seen, TestCase, TestOutcome

_WHERE = re.compile(r"^(?:vet: )?(?P<file>\S+\.go):\d+:\d+: (?P<text>.+)$")
_UNBUILT = re.compile(r"^FAIL\s+(\S+) \[(?:build|setup) failed\]")
"""How Go before 1.24 says so, in plain text between the events; later ones have events for it."""

_MISSING = re.compile(
    r"undefined|not declared|unknown field|too many arguments|not enough arguments|has no field or method"
    r"|in argument to|missing method|is not in (?:GOROOT|std)|no required module provides"
    r"|cannot find (?:module|package)"
)
_TEST = re.compile(rb"^func (Test\w+|Fuzz\w+|Example\w*)\(", re.MULTILINE)
_OUTCOMES = {"pass": TestOutcome.PASSED, "fail": TestOutcome.FAILED, "skip": TestOutcome.SKIPPED}


class _Event(msgspec.Struct):
    Action: str = ""
    Package: str = ""
    Test: str = ""
    Output: str = ""
    ImportPath: str = ""


def call(ask: Ask) -> Call:
    """Ask for JSON, and add a failing test to every package that has tests."""
    at = after(ask.words, "test")
    argv = [*ask.words[:at], "-json", *ask.words[at:]]
    folders = sorted({str(PurePosixPath(ask.local(path)).parent) for path in ask.only})
    if folders:
        argv = [word for word in argv if not _is_package(word)] + [
            f"./{folder}" for folder in folders
        ]
    return Call(argv=tuple(argv), files=_canaries(ask))


def read(ask: Ask, left: Left) -> Seen:
    """Put the events together; test names are `FOLDER::TestName/sub`."""
    module = _module(ask)
    outputs: dict[str, list[str]] = {}
    seen = Seen(tests={}, uncollected={})
    where = _files_of(ask)
    blocked: list[str] = []
    events = _events(left)
    for event in events:
        folder = _folder(ask, event.Package, module)
        name = f"{folder}::{event.Test}"
        if event.Action == "output" and event.Test:
            outputs.setdefault(name, []).append(event.Output)
        elif event.Test and event.Action in _OUTCOMES:
            file = where.get(f"{folder}::{event.Test.partition('/')[0]}", "")
            seen.tests[name] = _case(_OUTCOMES[event.Action], "".join(outputs.get(name, [])), file)
        elif event.Action == "fail" and not any(
            test.startswith(f"{folder}::") for test in seen.tests
        ):
            blocked.append(f"{folder}::")
    unbuilt = filter(None, map(_UNBUILT.match, left.lines()))
    blocked += [f"{_folder(ask, one.group(1), module)}::" for one in unbuilt]
    if not events and not blocked:
        seen.unreadable = f"go test left no events, exit status {left.code}: {left.gist}"
    if blocked:
        seen.uncollected = _compiler(ask, left, tuple(blocked))
    seen.blocked = tuple(blocked)
    return seen


def _folder(ask: Ask, package: str, module: str) -> str:
    """Return the folder of a package, from the root of the tree; `.` for the root itself."""
    return ask.from_root(package.removeprefix(module).strip("/").partition(" ")[0] or ".")


def _case(outcome: TestOutcome, output: str, file: str) -> TestCase:
    if outcome is not TestOutcome.FAILED:
        return TestCase(outcome=outcome, file=file)
    lines = [line.strip() for line in output.splitlines() if not line.startswith(("=== ", "--- "))]
    message = "\n".join(line for line in lines if line)[:600]
    panics = any(line.startswith("panic:") for line in lines)
    return TestCase(
        outcome=outcome,
        message=message,
        reason=Reason("panic" if panics else "AssertionError", message, None, file),
        file=file,
    )


def _compiler(ask: Ask, left: Left, blocked: tuple[str, ...]) -> dict[str, Reason]:
    """Find the files that the compiler complains about.

    A missing name of the project's own wins over the rest.
    """
    found: dict[str, Reason] = {}
    for raw in (*left.lines(), *left.errors()):
        for line in _plain(raw).splitlines():
            match = _WHERE.match(line.strip())
            if match is None:
                continue
            file, text = ask.from_root(match["file"]), match["text"]
            missing = ("", text) if _MISSING.search(text) else None
            if file not in found or (missing and found[file].missing is None):
                found[file] = Reason("compile error", text, missing, file)
    return found or {
        package.removesuffix("::"): Reason("compile error", left.gist) for package in blocked
    }


def _plain(line: str) -> str:
    """Take the text out of an output event; other lines stay as they are."""
    if not line.startswith("{"):
        return line
    try:
        return msgspec.json.decode(line, type=_Event).Output
    except msgspec.DecodeError:
        return ""


def _events(left: Left) -> list[_Event]:
    found = []
    for line in left.lines():
        if line.startswith("{"):
            try:
                found.append(msgspec.json.decode(line, type=_Event))
            except msgspec.DecodeError:
                continue
    return found


def _module(ask: Ask) -> str:
    """Return the module's path, which all package names begin with."""
    name = f"{ask.target.folder}/go.mod" if ask.target.folder else "go.mod"
    found = re.search(rb"^module\s+(\S+)", ask.read(name) or b"", re.MULTILINE)
    return found.group(1).decode() if found else ""


def _files_of(ask: Ask) -> dict[str, str]:
    """Say in which file each test function stands."""
    found = {}
    for path in _test_files(ask):
        folder = str(PurePosixPath(path).parent)
        for name in _TEST.findall(ask.read(path) or b""):
            found[f"{folder}::{name.decode()}"] = path
    return found


def _test_files(ask: Ask) -> list[str]:
    below = f"{ask.target.folder}/" if ask.target.folder else ""
    return [path for path in ask.paths if path.endswith("_test.go") and path.startswith(below)]


def _canaries(ask: Ask) -> dict[str, str]:
    files: dict[str, str] = {}
    below = f"{ask.target.folder}/" if ask.target.folder else ""
    code = [path for path in ask.paths if path.endswith(".go") and path.startswith(below)]
    for path in _test_files(ask) or code[:1]:
        folder = str(PurePosixPath(path).parent)
        package = re.search(rb"^package\s+(\w+)", ask.read(path) or b"", re.MULTILINE)
        name = f"{folder}/idea_to_pr_{ask.canary}_test.go".removeprefix("./")
        if package and name not in files:
            files[name] = (
                f'package {package.group(1).decode()}\n\nimport "testing"\n\nfunc Test_{ask.canary}(t *testing.T) {{\n'
                f'\tt.Fatal("this test of the engine\'s own always fails")\n}}\n'
            )
    return files


def _is_package(word: str) -> bool:
    return word.startswith("./") or word in {".", "..."}
