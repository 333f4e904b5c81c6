"""`cargo test`: the lines that Rust's own test harness prints, and the compiler's error codes.

Cargo compiles all tests before it runs one: a name that is missing blocks the whole target.
"""

import re
from itertools import count
from pathlib import PurePosixPath

from pipeline.gates.runners.base import Ask, Call, Left, after
from pipeline.gates.testrun import Reason, Seen, TestCase, TestOutcome

_RUNNING = re.compile(r"^\s+Running (?:unittests )?(\S+\.rs)|^\s+Doc-tests (\S+)")
_TEST = re.compile(r"^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)")
_LINE = re.compile(r" \(line (\d+)\)")
_SAID = re.compile(r"^---- (.+) stdout ----$")
_ERROR = re.compile(r"^error(?:\[(E\d{4})\])?: (.+)$")
_ARROW = re.compile(r"^\s+--> ([^:]+\.rs):\d+")
_MISSING = {
    "E0405",
    "E0412",
    "E0422",
    "E0423",
    "E0425",
    "E0432",
    "E0433",
    "E0560",
    "E0599",
    "E0609",
    "E0061",
    "E0583",
}
"""Codes for names, fields, methods and parameters that are not there (rustc 1.95 --explain)."""

_OUTCOMES = {"ok": TestOutcome.PASSED, "FAILED": TestOutcome.FAILED, "ignored": TestOutcome.SKIPPED}


def call(ask: Ask) -> Call:
    """Go on after failures, without colours.

    A test that must fail is added to the package's own.
    """
    at = after(ask.words, "test")
    argv = (*ask.words[:at], "--no-fail-fast", "--color=never", *ask.words[at:])
    folder = f"{ask.target.folder}/" if ask.target.folder else ""
    body = f'#[test]\nfn t_{ask.canary}() {{ panic!("this test of the engine\'s own always fails"); }}\n'
    return Call(argv=argv, files={f"{folder}tests/idea_to_pr_{ask.canary}.rs": body})


def read(ask: Ask, left: Left) -> Seen:
    """Read what was printed; test names are `FILE::module::test`."""
    said = left.lines()
    stderr = left.errors()
    files = [
        found.group(1) or f"doc {found.group(2)}"
        for line in stderr
        if (found := _RUNNING.match(line))
    ]
    if not files:
        broken = _compiler(ask, stderr)
        problem = "" if broken else f"cargo ran no tests, exit status {left.code}: {left.gist}"
        return Seen(uncollected=broken, blocked=("",) if broken else (), unreadable=problem)
    seen: list[tuple[str, int, TestCase]] = []
    panics = _panics(said)
    number = -1
    for line in said:
        number += line.startswith("running ")
        if (found := _TEST.match(line)) is not None:
            file = ask.from_root(files[min(max(number, 0), len(files) - 1)])
            case = _case(_OUTCOMES[found.group(2)], panics.get(found.group(1), ""), file)
            at = _LINE.search(found.group(1))
            seen.append(
                (f"{file}::{_LINE.sub('', found.group(1))}", int(at.group(1)) if at else 0, case)
            )
    return Seen(tests=_numbered(seen))


def _numbered(seen: list[tuple[str, int, TestCase]]) -> dict[str, TestCase]:
    """Name doc tests by their item and place in it: their lines move with any change above them."""
    tests: dict[str, TestCase] = {}
    for plain, _, case in sorted(seen, key=lambda one: one[:2]):
        names = (f"{plain} ({number})" if number > 1 else plain for number in count(1))
        tests[next(name for name in names if name not in tests)] = case
    return tests


def _case(outcome: TestOutcome, message: str, file: str) -> TestCase:
    if outcome is not TestOutcome.FAILED:
        return TestCase(outcome=outcome, file=file)
    return TestCase(outcome=outcome, message=message[:600], reason=told(message, file), file=file)


def told(message: str, file: str) -> Reason:
    """Tell an assertion from any other panic."""
    asserted = re.search(r"assertion|did not panic as expected", message) is not None
    return Reason("AssertionError" if asserted else "panic", message[:500], None, file)


def _panics(said: list[str]) -> dict[str, str]:
    """Collect what each failing test printed."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in said:
        if (name := _SAID.match(line)) is not None:
            current = found.setdefault(name.group(1), [])
        elif line.startswith(("failures:", "test result:")):
            current = []
        else:
            current.append(line)
    return {name: "\n".join(lines).strip() for name, lines in found.items()}


def _place(ask: Ask, path: str) -> str:
    """Name a file that rustc names as seen from its workspace's root, which may lie above the package."""
    there = set(ask.paths)
    tops = [ask.target.folder, *map(str, PurePosixPath(ask.target.folder).parents)]
    return next(
        (one for top in tops if (one := str(PurePosixPath(top) / path)) in there),
        ask.from_root(path),
    )


def _compiler(ask: Ask, stderr: list[str]) -> dict[str, Reason]:
    """Find the files that do not compile, with the first error in each."""
    found: dict[str, Reason] = {}
    code, text = "", ""
    for line in stderr:
        if (error := _ERROR.match(line)) is not None:
            code, text = error.group(1) or "", error.group(2)
        elif text and (arrow := _ARROW.match(line)) is not None:
            file = _place(ask, str(PurePosixPath(arrow.group(1))))
            missing = ("", text) if code in _MISSING else None
            found.setdefault(file, Reason(f"compile error {code}".strip(), text, missing, file))
            text = ""
    return found
