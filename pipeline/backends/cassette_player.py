"""Play one take of a cassette; a script of its own: `python -I -S cassette_player.py TAKE`."""

import os
import shutil
import sys
from pathlib import Path


def play(take: Path, workspace: Path, outputs: Path) -> str:
    """Make the edits and outputs of a take; return its answer."""
    deletions = take / "delete"
    if deletions.exists():
        for line in deletions.read_text().splitlines():
            (workspace / line).unlink()
    for name, target in (("files", workspace), ("outputs", outputs)):
        if (take / name).is_dir():
            # `copyfile`, not `copy2`: edits get the time of now, as an agent's would.
            shutil.copytree(take / name, target, dirs_exist_ok=True, copy_function=shutil.copyfile)
    answer = take / "answer.md"
    return answer.read_text() if answer.exists() else ""


if __name__ == "__main__":
    outputs = Path(os.environ["PIPELINE_OUTPUT_DIR"])  # noqa: TID251 - a process of its own
    sys.stdout.write(play(Path(sys.argv[1]), Path.cwd(), outputs))
