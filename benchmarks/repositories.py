"""Little repositories with a flow of no-op stages, in the shape of layers.

A shape is a list of layers: `[1, 1000, 1]` is one stage, a thousand that need it, and one that
needs them all.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness import environment

PARALLEL = 8
_HEAD = f"""\
version: 1
targets:
  - {{name: app, source: [src/**], tests: [tests/**], test: python -m pytest -q}}
limits: {{parallel: {PARALLEL}}}
workflows:
  no_ops:
    description: Stages that do nothing.
    stages:
"""


def flow(layers: Sequence[int], fan_in: int = 0) -> str:
    """Write the flow file for a shape; the workflow is called `no_ops`.

    Each stage needs all of the layer before it, or as many as `fan_in` says.
    """
    lines = [_HEAD]
    number = 0
    before: list[str] = []
    for size in layers:
        names = [f"s{number + index}" for index in range(size)]
        for index, name in enumerate(names):
            picked = (
                [before[(index + step * 7) % len(before)] for step in range(fan_in)]
                if fan_in and before
                else before
            )
            needs = f", needs: [{', '.join(dict.fromkeys(picked))}]" if picked else ""
            lines.append(f'      {name}: {{run: "true"{needs}}}\n')
        number, before = number + size, names
    return "".join(lines)


def make(folder: Path, layers: Sequence[int], fan_in: int = 0) -> Path:
    """Make a repository with one commit and this flow below `folder`; return it."""
    repository = folder / "repository"
    (repository / "agents").mkdir(parents=True)
    (repository / "src").mkdir()
    (repository / "src" / "app.py").write_text("ANSWER = 42\n")
    (repository / "agents" / "flow.yaml").write_text(flow(layers, fan_in))
    identity = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@localhost")
    for arguments in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        (*identity, "commit", "--quiet", "-m", "A flow of stages that do nothing"),
    ):
        subprocess.run(["git", *arguments], cwd=repository, env=environment(folder), check=True)
    return repository


def missing(folder: Path, layers: Sequence[int]) -> str:
    """Say what a run of the flow left undone; an empty text when all stages are done."""
    (file,) = (folder / "repository" / "docs" / "status" / "runs").glob("*/pipeline_status.json")
    status = json.loads(file.read_text())
    done = sum(stage["state"] == "done" for stage in status["stages"].values())
    whole = status["state"] == "done" and done == sum(layers)
    return "" if whole else f"{done} of {sum(layers)} stages are done, the run is {status['state']}"
