"""What a failure's reason says: whether source can mend it, and whether two are the same."""

import re

from pipeline.core.evidence import FailureCause
from pipeline.gates.testrun import FailureReason

_UNDEFINED = {"NameError", "UnboundLocalError", "ReferenceError"}
# Python; Go; esbuild and Babel for JavaScript. Other errors of rustc have a code.
_SYNTAX = re.compile(
    r"^(?:SyntaxError|IndentationError|TabError)\b|syntax error|Transform failed"
    r"|[Uu]nexpected token|invalid JS syntax|failed to parse"
    r"|: expected .+, found |not terminated$|: illegal "
)
_NUMBER = re.compile(r"0x[0-9a-f]+|\d+")


def why_never_loaded(reason: FailureReason, cause: FailureCause) -> str | None:
    """Return why no source can make a test file load; None if it may."""
    if cause is FailureCause.MISSING_PACKAGE:
        return "a package that is not installed"
    is_rust = reason.file.endswith(".rs") and reason.what == "compile error"
    if cause is not FailureCause.MISSING_NAME and (
        is_rust or _SYNTAX.search(f"{reason.what}: {reason.text}")
    ):
        return "it cannot be parsed"
    if is_undefined(reason):
        return "a name that the test does not define"
    return None


def is_undefined(reason: FailureReason) -> bool:
    """Return whether a test uses a name that it neither defines nor imports."""
    return reason.raised is FailureCause.RAISED_IN_TEST and reason.what in _UNDEFINED


def same(one: FailureReason, other: FailureReason) -> bool:
    """Return whether two failures are one error at one place, whatever numbers they hold."""
    return (one.cause, one.raised, one.what, _NUMBER.sub("#", one.text)) == (
        other.cause,
        other.raised,
        other.what,
        _NUMBER.sub("#", other.text),
    )


def kind(reason: FailureReason, cause: FailureCause) -> str:
    """Describe what was raised, and where."""
    where = {
        FailureCause.RAISED_IN_SOURCE: "in the source",
        FailureCause.RAISED_IN_TEST: "in the test",
    }
    return " ".join(filter(None, (reason.what or cause.words, where.get(reason.raised, ""))))


def describe(reason: FailureReason) -> str:
    """Return the kind of a failure, and the first line of its text."""
    first = reason.text.splitlines()[0][:200] if reason.text else ""
    return f"{reason.what or reason.cause.words}: {first}"
