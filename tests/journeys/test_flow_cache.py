"""A flow is proven once for each content: a run of an unchanged one reads no YAML; any change is
proven anew.
"""

import sys
from pathlib import Path

from tests.helpers.bare import Bare

FLOW = """\
version: 1
targets: [{name: app, source: [src/**], tests: [tests/**], test: python -m pytest -q}]
workflows: {main: {stages: {a: {run: "true"}}}}
"""
LOADED = """\
import sys
from pathlib import Path
from pipeline import wiring
from pipeline.engine.ground import flows
world = wiring.world(Path("."))
flows.compiled(world, flows.read(world), "main")
print(sorted({"yaml", "networkx", "jinja2"} & set(sys.modules)))
"""


def loaded(bare: Bare) -> str:
    done = bare.run(sys.executable, "-c", LOADED)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_unchanged_flow_is_loaded_without_yaml_and_a_changed_one_is_read(tmp_path: Path) -> None:
    bare = Bare(tmp_path, FLOW)
    assert "yaml" in loaded(bare)
    assert loaded(bare) == "[]"
    flow = bare.root / "agents" / "flow.yaml"
    flow.write_text(FLOW.replace('run: "true"', 'run: "false"'))
    assert "yaml" in loaded(bare)
    (bare.root / "agent_prompts" / "more.md.j2").write_text("{{ idea }}\n")
    assert "yaml" in loaded(bare)
    assert loaded(bare) == "[]"
    flow.write_text(FLOW.replace("run:", "rum:"))
    assert bare.run("trigger_workflow", "main", "an idea").returncode == 2
    assert bare.run_ids() == []


def test_what_is_kept_of_flows_does_not_grow_for_ever(tmp_path: Path) -> None:
    bare = Bare(tmp_path, FLOW)
    for number in range(10):
        (bare.root / "agents" / "flow.yaml").write_text(FLOW + f"# {number}\n")
        loaded(bare)
    assert len(list((tmp_path / "state").glob("repos/*/flows/*"))) <= 8
