"""Secrets of a person, known by variables or by files of logins: looked for in what a stage leaves.

Files of the workspace are looked at before the store sees them (`repo/tree_writer`); here are the
words of the agent, its outputs, and the folder of its attempt.
"""

import os
from pathlib import Path

from pipeline.backends.base import AgentReply
from pipeline.core.redact import Redactor
from pipeline.core.violations import Violation, ViolationKind
from pipeline.files import atomic
from pipeline.files.rundir import list_outputs
from pipeline.files.trees import files_below, remove
from pipeline.process.spec import STDERR, STDOUT
from pipeline.repo.links import IncludedFiles
from pipeline.repo.store import Store


def without_secrets(redactor: Redactor, reply: AgentReply) -> AgentReply:
    """Take secrets out of every word that an agent says, however its call ended."""
    return redactor.fields(reply)


def leaks(
    store: Store,
    trees: tuple[str, str],
    out: Path,
    included: IncludedFiles,
    redactor: Redactor,
) -> list[Violation]:
    """Find secrets in the outputs of a stage or in their names, and copies of ignored files.

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
    if not redactor:
        return violations
    return violations + [
        Violation(kind=ViolationKind.SECRET_WRITTEN, path=redactor.text(output), detail=name)
        for output in list_outputs(out)
        for name in sorted({*redactor.found(os.fsencode(output)), *_found(redactor, out / output)})
    ]


def remove_secrets(redactor: Redactor, folder: Path) -> None:
    """Remove the files of an attempt that hold a secret; its logs are kept without it."""
    if not redactor or not folder.is_dir():
        return
    for name in files_below(folder):
        file = folder / name
        if redactor.found(os.fsencode(name)):
            remove(file)
        elif not os.access(file, os.R_OK) or not _found(redactor, file):
            continue
        elif name in {STDOUT, STDERR}:
            # Base64 over several lines passes the shim, which looks at one line after the other.
            text = file.read_bytes().decode("utf-8", "surrogateescape")
            data = redactor.text(text).encode("utf-8", "surrogateescape")
            atomic.write_bytes(file, data, durable=False)
        else:
            remove(file)


def _found(redactor: Redactor, file: Path) -> list[str]:
    return redactor.found(file.read_bytes())
