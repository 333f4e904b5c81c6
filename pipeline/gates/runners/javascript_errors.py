"""Why a JavaScript test failed, from the name, the message and the stack of its error.

The messages are those of vitest 3 and 4, jest 30, mocha 11, and Node 20 to 24.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote

import msgspec

from pipeline.core.evidence import FailureCause
from pipeline.gates.runners.base import TestRequest
from pipeline.gates.testrun import FailureReason, MissingName

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ASSERTION = re.compile(r"(?:Jest)?AssertionError|Error: expect\(")
_ERROR_NAME = re.compile(r"^\[?(\w*Error)\b", re.MULTILINE)
_MODULE = re.compile(
    r"(?:Cannot find (?:module|package)|Failed to (?:load url|resolve import)) ['\"]?([^'\"\s]+)"
)
_NAME = re.compile(
    r"(?<![\w.$])([\w.$]+)\)? is not (?:a function|a constructor|defined|iterable)"
    r"|does not provide an export named '([^']+)'"
    r"|Cannot read properties of undefined \(reading '([^']+)'\)"
)
_TIMED_OUT = re.compile(
    r"(?:Error: )?(?:thrown: \"?)?"
    r"(?:Exceeded timeout of \d|(?:Test|Hook) timed out in \d|test timed out after \d"
    r"|Timeout of \d+ms exceeded)"
    # For a test that took too long, Vitest 4.1 has this in the stack in place of the message, and
    # its JSON report has only the stack.
    r"|Error: STACK_TRACE_ERROR\n"
)
_FRAME = re.compile(
    r"^[ \t]+at (?:.*\()?(?:async )?(?:file://)?([^()\n]+?):\d+(?::\d+)?\)?$", re.MULTILINE
)
_OWN = ("./", "../", "/", "@/", "~/", "#", "file:")


def reason_of(request: TestRequest, text: str, file: str, own: set[str]) -> FailureReason:
    """Return the reason for an error's text with its stack; `own` are the repository's packages."""
    plain = _COLOUR.sub("", text).strip()
    name = _ERROR_NAME.search(plain)
    reason = FailureReason(
        cause=FailureCause.UNKNOWN,
        raised=request.raised_in(_trace(plain)),
        what=name.group(1) if name else "Error",
        text=plain[:500],
        file=file,
    )
    cause, missing = _cause(plain, own)
    return msgspec.structs.replace(reason, cause=cause or reason.raised, missing=missing)


def _cause(plain: str, own: set[str]) -> tuple[FailureCause | None, MissingName | None]:
    """Return the cause that the message shows, and the missing name of the project's own."""
    if _TIMED_OUT.match(plain):
        return FailureCause.TIMED_OUT, None
    if (module := _MODULE.search(plain)) is not None:
        if _is_own(module.group(1), own):
            missing = MissingName(owner="", name=module.group(1), is_module=True)
            return FailureCause.MISSING_NAME, missing
        return FailureCause.MISSING_PACKAGE, None
    if (match := _NAME.search(plain)) is not None:
        name = next(group for group in match.groups() if group)
        return FailureCause.MISSING_NAME, MissingName(owner="", name=name)
    return (FailureCause.ASSERTION if _ASSERTION.match(plain) else None), None


def _is_own(module: str, own: set[str]) -> bool:
    return module.startswith(_OWN) or any(
        module == package or module.startswith(package + "/") for package in own
    )


def _trace(plain: str) -> Iterator[str]:
    """Yield the files of a stack, the innermost first."""
    for match in _FRAME.finditer(plain):
        yield unquote(match.group(1)).partition("?")[0]
