"""Secrets that an agent was given, by variables or in files: looked for in all that it leaves."""

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from pipeline.backends.base import (
    AgentReply,
    AlreadyExists,
    CallEnd,
    Failed,
    Finished,
    Questions,
    QuotaUsedUp,
)
from pipeline.core import redact
from pipeline.core.violations import Violation, ViolationKind
from pipeline.files.rundir import list_outputs
from pipeline.repo.links import IncludedFiles
from pipeline.repo.store import Store


def without_secrets(secrets: Mapping[str, str], reply: AgentReply, result: Path) -> AgentReply:
    """Take secrets (value -> name) out of what an agent says in its result file, which is removed.

    Its output was redacted as it came.
    """
    if not secrets or not result.is_file():
        return reply
    if not redact.names_in(result.read_bytes(), secrets):
        return reply
    result.unlink()
    return replace(
        reply,
        text=redact.redacted(reply.text, secrets),
        agent=redact.redacted(reply.agent, secrets),
        end=_redacted_end(reply.end, secrets),
    )


def _redacted_end(end: CallEnd, secrets: Mapping[str, str]) -> CallEnd:
    """Take secrets out of every word in which an agent says how its call ended."""
    match end:
        case Failed(reason=reason) | QuotaUsedUp(reason=reason):
            return replace(end, reason=redact.redacted(reason, secrets))
        case Questions(questions=questions):
            return Questions(questions=_redacted(questions, secrets))
        case AlreadyExists(where=where, summary=summary):
            said = redact.redacted(summary, secrets)
            return AlreadyExists(where=_redacted(where, secrets), summary=said)
        case Finished():
            return end


def _redacted(texts: tuple[str, ...], secrets: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(redact.redacted(text, secrets) for text in texts)


def leaks(
    store: Store,
    trees: tuple[str, str],
    out: Path,
    included: IncludedFiles,
    secrets: Mapping[str, str],
) -> list[Violation]:
    """Find secrets, and copies of files that git ignores, in what a stage wrote.

    They are never kept or committed. `trees` are those before and after it, `out` is the folder of
    its outputs.
    """
    before, after = trees
    blobs = {}
    if included.private_paths:
        blobs = {change.path: change.blob for change in store.diff(before, after)}
    violations = [
        Violation(kind=ViolationKind.COPY_OF_IGNORED_FILE, path=path)
        for path in included.find_copies(blobs)
    ]
    if not secrets:
        return violations
    written = store.patch(before, after, as_text=True) if after != before else b""
    held = set(redact.names_in(written, secrets))
    for name in list_outputs(out):
        held.update(redact.names_in((out / name).read_bytes(), secrets))
    return violations + [
        Violation(kind=ViolationKind.SECRET_WRITTEN, path=name) for name in sorted(held)
    ]
