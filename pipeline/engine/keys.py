"""Keys that an agent was given, by variables or in files.

They are looked for in all that it leaves.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from pipeline.backends.base import Answer
from pipeline.core import redact
from pipeline.files.rundir import outputs_in
from pipeline.repo.lend import Included
from pipeline.repo.store import Store


def without(keys: Mapping[str, str], answer: Answer, result: Path) -> Answer:
    """Take keys (value -> name) out of what an agent says in its result file.

    Its output was redacted as it came.
    """
    if not keys or not result.is_file() or not redact.held_in(result.read_bytes(), keys):
        return answer
    result.unlink()
    text, reason = redact.redacted(answer.text, keys), redact.redacted(answer.reason, keys)
    return msgspec.structs.replace(
        answer, text=text, reason=reason, agent=redact.redacted(answer.agent, keys)
    )


def leaks(
    store: Store, trees: tuple[str, str], out: Path, included: Included, keys: Mapping[str, str]
) -> list[str]:
    """Find keys, and copies of files that git ignores, in what a stage wrote.

    They are never kept or committed.

    `trees` are those before and after it, `out` is the folder of its outputs.
    """
    before, after = trees
    blobs = (
        {change.path: change.blob for change in store.diff(before, after)}
        if included.watched
        else {}
    )
    copied = [f"{path}: a copy of a file that git ignores" for path in included.copies(blobs)]
    if not keys:
        return copied
    written = store.patch(before, after, as_text=True) if after != before else b""
    held = set(redact.held_in(written, keys))
    for name in outputs_in(out):
        held.update(redact.held_in((out / name).read_bytes(), keys))
    return [
        *copied,
        *(f"the value of ${name} stands in what the stage wrote" for name in sorted(held)),
    ]
