"""What is said of the shipped flow names everything in it; what a stage is told is what the
reference says.
"""

import re
from pathlib import Path

from pipeline.core.settings import STAGE_VARIABLES
from pipeline.language.compiler import ids_of
from pipeline.language.failures import FAILURE_WORDS
from pipeline.language.flow import FailureKind
from pipeline.language.flow_file import parse
from tests.helpers.bare import Bare

FLOW = """\
version: 1
targets: [{name: app, source: [src/**], tests: [tests/**], test: python -m pytest -q}]
agents: {maker: {prompt: plain.md.j2, command: [sh, agent.sh]}}
workflows:
  main:
    stages:
      a:
        agent: maker
        limits: {usd: 1, tokens: 5k}
        env: {DO: "env | grep -o '^PIPELINE_[A-Z_]*' | sort > $PIPELINE_OUTPUT_DIR/names.txt"}
        outputs: {names: names.txt}
"""


def test_every_stage_lock_and_workflow_of_the_shipped_flow_is_explained() -> None:
    page = Path("docs/explanation/shipped-workflows.md").read_text()
    flow, _ = parse(Path("agents/flow.yaml").read_text(), "agents/flow.yaml", {})
    names = [name for workflow in flow.workflows.values() for name in ids_of(workflow.stages, "")]
    for name in {*names, *flow.locks, *flow.workflows, *flow.triggers}:
        assert f"`{name}`" in page or f"`{name}." in page, name


def test_every_kind_of_failure_has_its_words() -> None:
    assert set(FAILURE_WORDS) == set(FailureKind)


def test_a_stage_is_told_what_the_reference_says(tmp_path: Path) -> None:
    bare = Bare(tmp_path, FLOW)
    done = bare.run("trigger_workflow", "main", "an idea")
    assert done.returncode == 0, done.stderr
    told = (
        (bare.root / "docs" / "status" / "runs" / bare.newest() / "a" / "names.txt")
        .read_text()
        .split()
    )
    assert set(told) == set(STAGE_VARIABLES)


def test_the_examples_of_the_how_to_are_sound(tmp_path: Path) -> None:
    page = Path("docs/how-to/write-a-workflow.md").read_text()
    whole = [
        text
        for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
        if text.startswith("version:")
    ]
    assert len(whole) == 2
    for number, text in enumerate(whole):
        bare = Bare(tmp_path / str(number), text)
        done = bare.run("pipeline", "flow", "check")
        assert done.returncode == 0, done.stderr
