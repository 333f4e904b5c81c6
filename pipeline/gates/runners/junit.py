"""JUnit files: any command that writes one, where `{report}` stands for its name.

The file's form is the one that most tools agree on: `testcase` with `classname`, `name` and perhaps
`file`, and in it `failure`, `error` or `skipped` (https://github.com/testmoapp/junitxml).
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

from pipeline.gates.runners.base import Ask, Call, Left, no_report
from pipeline.gates.runners.javascript import told
from pipeline.gates.testrun import Reason, Seen, TestCase, TestOutcome
from pipeline.language.runners import PLACE

_TAGS = (
    ("error", TestOutcome.ERROR),
    ("failure", TestOutcome.FAILED),
    ("skipped", TestOutcome.SKIPPED),
)


def call(ask: Ask) -> Call:
    """Put the report's name in its place."""
    return Call(argv=tuple(word.replace(PLACE, str(ask.report)) for word in ask.words))


def read(ask: Ask, left: Left) -> Seen:
    """Read the file; there is no canary in it, so the exit status has to agree with it."""
    try:
        tests = cases(ask.report, {}, ask.from_root)
    except (OSError, ET.ParseError) as exc:
        return _unloaded(ask, left) or no_report(exc, left)
    failed = any(case.outcome in {TestOutcome.FAILED, TestOutcome.ERROR} for case in tests.values())
    seen = Seen(tests=tests)
    if failed == (left.code == 0):
        seen.unreadable = (
            f"exit status {left.code}, but the report says {'failed' if failed else 'passed'}"
        )
    tests[f"engine::{ask.canary}"] = TestCase(outcome=TestOutcome.FAILED)
    return seen


def _unloaded(ask: Ask, left: Left) -> Seen | None:
    """Mocha loads all test files before it runs one, and writes no report when a name is missing in one of them."""
    line = next((one for one in left.errors() if "rror: " in one), "")
    reason = told(line.partition("Exception during run: ")[2], "", set())
    words = re.findall(r"'([^']+)'", line)
    if "mocha" not in ask.words[0] or reason.missing is None:
        return None
    texts = {path: (ask.read(path) or b"").decode(errors="replace") for path in ask.tests()}
    files = [path for path, text in texts.items() if all(word in text for word in words)]
    return Seen(uncollected=dict.fromkeys(files, reason), blocked=("",)) if files else None


def cases(path: Path, reasons: Mapping[str, Reason], from_root: object) -> dict[str, TestCase]:
    """Read all test cases of a JUnit file by `classname::name`.

    Of two with one name a failure counts.
    """
    found: dict[str, TestCase] = {}
    for element in ET.parse(path).getroot().iter("testcase"):  # noqa: S314 - written by the run we started
        name = f"{element.get('classname', '')}::{element.get('name', '')}"
        file = element.get("file") or ""
        case = _case(
            element, reasons.get(name), from_root(file) if callable(from_root) and file else ""
        )
        known = found.get(name)
        if known is None or known.outcome is TestOutcome.PASSED:
            found[name] = case
    return found


def _case(element: ET.Element, reason: Reason | None, file: str) -> TestCase:
    for tag, outcome in _TAGS:
        found = element.find(tag)
        if found is not None:
            message = (found.get("message") or found.text or "").strip()[:600]
            given = reason or (None if outcome is TestOutcome.SKIPPED else guessed(found, message))
            return TestCase(outcome=outcome, message=message, reason=given, file=file)
    return TestCase(outcome=TestOutcome.PASSED, file=file)


def guessed(found: ET.Element, message: str) -> Reason:
    """Take a failure's kind from its `type`; only where it has none from its words."""
    kind = (found.get("type") or "").rpartition(".")[2]
    words = kind or message
    if not kind and (js := told(message, "", set())).missing is not None:
        return js
    if "assert" in words.lower() or (not kind and "expected" in message.lower()):
        kind = "AssertionError"
    return Reason(kind or "failure", message)
