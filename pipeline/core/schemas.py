"""The shapes of files that agents deliver and the engine reads; prompts show them as examples."""

from enum import StrEnum
from typing import Any

import msgspec

from pipeline.core.flow import Schema


class Severity(StrEnum):
    """How much a finding matters."""

    BLOCKING = "blocking"
    MINOR = "minor"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a reviewer found, with its place."""

    file: str
    line: int
    severity: Severity
    what: str
    fails_when: str = ""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """All a reviewer found; an empty list is an answer."""

    findings: tuple[Finding, ...]


class WorkItem(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of the work."""

    title: str
    files: tuple[str, ...] = ()
    done_when: str = ""


class WorkPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done, in order, and how each piece is known to be done."""

    title: str
    items: tuple[WorkItem, ...]


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Why it did not work, and what a person should do."""

    cause: str
    evidence: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()


_TYPES: dict[Schema, Any] = {Schema.FINDINGS: Findings, Schema.WORK_PLAN: WorkPlan, Schema.DIAGNOSIS: Diagnosis}
_EXAMPLES: dict[Schema, str] = {
    Schema.FINDINGS: '{"findings": [{"file": "src/app/limits.py", "line": 12, "severity": "blocking", '
    '"what": "the counter is never reset", "fails_when": "the day changes"}]}',
    Schema.WORK_PLAN: '{"title": "Limit logins per minute", "items": [{"title": "count attempts per user", '
    '"files": ["src/app/limits.py"], "done_when": "the sixth attempt in a minute is refused"}]}',
    Schema.DIAGNOSIS: '{"cause": "the limit is compared before it is raised", "evidence": ["tests/test_limits.py:20"], '
    '"next_steps": ["compare after the update in src/app/limits.py:31"]}',
}


def example(schema: Schema) -> str:
    """Return an example of the shape, for prompts and documentation."""
    return _EXAMPLES[schema]


def complaint(schema: Schema, data: bytes) -> str | None:
    """Say how a file misses its shape, or None when it has it."""
    try:
        msgspec.json.decode(data, type=_TYPES[schema])
    except msgspec.DecodeError as exc:
        return f"{exc}; it should look like {_EXAMPLES[schema]}"
    return None
