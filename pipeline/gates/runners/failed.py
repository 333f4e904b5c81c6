"""Lines by which test runners name a failing test in their output, without any report.

They are compared between two runs of the same command: a test that only the plain command shows as
failing passes in our own run alone.
"""

import re
from collections.abc import Iterable

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_FAILED = re.compile(
    r"^(?:FAILED|ERROR) (?P<pytest>\S+::.+?)(?: - .*)?$"
    r"|^(?:FAIL|ERROR): (?P<unittest>\w+ \([\w.<>]+\).*)$"
    r"|^\s*--- FAIL: (?P<go>\S+)"
    r"|^\s*not ok \d+ - (?P<tap>.+?)(?: # .*)?$"
    r"|^\s*✖ (?P<node>.+?)(?: \([\d.]+m?s\))?$"
    r"|^test (?P<cargo>.+?)(?: - should panic)? \.\.\. FAILED"
    r"|^\s*● (?P<jest>(?!Console|Test suite failed)\S.*)$"
    r"|^\s*FAIL\s+(?P<vitest>\S+ > .+)$"
)
_OLD_UNITTEST = re.compile(r"^(?P<own>\w+) \((?P<owner>[\w.]+)\)(?P<subtest>.*)$")
_BETWEEN = re.compile(r"\W+")


def failing_lines(output: str) -> dict[str, str]:
    """Return the failing tests that an output names: words of the name -> the line that tells."""
    found: dict[str, str] = {}
    for line in output.splitlines():
        plain = _ANSI.sub("", line).rstrip()
        if (match := _FAILED.match(plain)) is not None:
            name = next(one for one in match.groups() if one is not None)
            found.setdefault(_words(_full(name)), plain.strip())
    return found


def is_named(words: str, tests: Iterable[str]) -> bool:
    """Return whether the name in a line is that of one of these tests, as reports call them."""
    return any(
        f" {known}".endswith(f" {words}") or f" {words}".endswith(f" {known}")
        for known in (_words(name.replace(".py::", "::")) for name in tests)
    )


def _full(name: str) -> str:
    """Return unittest's `test_x (tests.test_y.TestY)` with the test last, as newer versions do."""
    match = _OLD_UNITTEST.match(name)
    if match is None:
        return name.replace(".py::", "::")
    owner = match["owner"].removesuffix(f".{match['own']}")
    return f"{owner}.{match['own']}"


def _words(name: str) -> str:
    return _BETWEEN.sub(" ", name).strip()
