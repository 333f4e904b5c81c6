"""Failures that belong to no test: coverage below its floor, unhandled errors, a process that died.

Test commands end with a status other than zero for them although every test passes, and no report
mentions them, so they are taken from the output. Each has a key without numbers and paths, by which
the same failure is found on another tree.
"""

import re
from collections.abc import Iterable

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_FAILURES = re.compile(
    # pytest-cov 4 to 7, coverage report --fail-under
    r"Required test coverage of|Coverage failure: total of"
    # jest, vitest and c8
    r"|coverage threshold for|does not meet (?:global |\S+ )?threshold"
    # vitest, node
    r"|Unhandled (?:Errors?|Rejections?|Exceptions?)\b"
    # pytest itself; Go's race detector; Cargo
    r"|^INTERNALERROR>|WARNING: DATA RACE|process didn't exit successfully: .*\(signal"
)
_VARIABLE = re.compile(r"/\S+|\d+(?:\.\d+)?")


def failures_above(lines: Iterable[str]) -> dict[str, str]:
    """Return the failures above tests in a command's output: key -> the line that tells of it."""
    found: dict[str, str] = {}
    for line in lines:
        plain = _ANSI.sub("", line).strip(" \t⎯-=*")
        if "reached" in plain and "not reached" not in plain:
            continue
        if _FAILURES.search(plain):
            found.setdefault(_VARIABLE.sub("#", plain), plain)
    return found
