"""Workspaces of whole runs: set up for agents and gates, taken in turn, with secrets that do not
get out.
"""

import json

import pytest

from tests.helpers.bare import Bare
from tests.helpers.project import kill, wait_for

HEAD = (
    "version: 1\ntargets: "
    "[{name: app, source: [src/**, requirements.txt], tests: [tests/**], test: python -m pytest -q}]\n"
)
NEEDS_MADE = "def answer():\n    from made import NUMBER\n    return NUMBER\n"
MAKE = "test -e requirements.txt || exit 0; mkdir -p site && cp requirements.txt site/made.py"
CONFTEST = (
    "import os\nimport sys\n\nassert os.environ['PIPELINE_PORT_BASE'] == "
    "'20000'\nsys.path.insert(0, 'site')\n"
)
STAGES = """
workflows:
  main:
    stages:
      a: {run: 'echo "NUMBER = 42" > requirements.txt && cp new.txt src/app.py', writes: [src/**, requirements.txt], gates: [green]}
      b: {run: 'test -e site/made.py && test "$PIPELINE_PORT_BASE" = 20100', needs: [a]}
      c: {publish: {}, needs: [b]}
"""


@pytest.mark.slow
def test_a_change_of_what_set_up_depends_on_is_tested_with_a_set_up_of_its_own(tmp_path):
    """And the next run takes the same workspaces and the same set-up."""
    bare = Bare(tmp_path, HEAD + f"workspace: {{setup: {json.dumps(MAKE)}}}\n" + STAGES)
    (bare.root / "conftest.py").write_text(CONFTEST)
    (bare.root / "new.txt").write_text(NEEDS_MADE)
    bare.commit("What the tests need")
    done = bare.run("trigger_workflow", "main", "an idea")
    assert done.returncode == 0, done.stderr
    assert bare.changed() == ["requirements.txt", "src/app.py"]
    state = next((tmp_path / "state/repos").iterdir())
    assert len(list((state / "setups").glob("*/done"))) == 2
    found = bare.result()
    assert found["workspace"].endswith("/workspaces/1/tree")
    assert bare.run("trigger_workflow", "main", "another idea").returncode == 0
    assert sorted(path.name for path in (state / "workspaces").iterdir() if path.is_dir()) == [
        "0",
        "1",
    ]
    assert len(list((state / "setups").glob("*/done"))) == 2
    first = bare.run(
        "pipeline",
        "status",
        min(bare.run_ids(), key=lambda name: bare.events(name)[0]["at"]),
        "--json",
    )
    assert json.loads(first.stdout)["workspace"] == "", "another run has it now"


@pytest.mark.parametrize("trap", ["", pytest.param("trap '' TERM;", marks=pytest.mark.slow)])
def test_a_set_up_that_dies_with_the_pipeline_is_made_again_from_the_start(tmp_path, trap):
    """Also when its command will not end, and lives on for a while."""
    hang = f"test -e $HOME/go || {{ mkdir half; {trap} touch $HOME/started; sleep 600; sleep 600; }}; mkdir whole"
    stages = "\nworkflows: {main: {stages: {a: {run: 'test -d whole && test ! -e half'}}}}\n"
    bare = Bare(tmp_path, HEAD + f"workspace: {{setup: {json.dumps(hang)}}}" + stages)
    process = bare.start("trigger_workflow", "main", "an idea")
    wait_for((tmp_path / "started").exists, "the set-up has begun")
    kill(process)
    (tmp_path / "go").touch()
    resumed = bare.run("pipeline", "resume", bare.newest())
    assert resumed.returncode == 0, resumed.stderr
    assert bare.survivors() == []


def test_a_stage_that_writes_down_a_copied_secret_or_file_is_refused(tmp_path):
    stages = """
workflows:
  main:
    stages:
      a: {run: 'cat local.env && sed "s/API_KEY=/key = /" local.env > src/key.py', writes: [src/**], retry: {max: 0}, on_failure: continue}
      b: {needs: [a], run: 'cp other.env src/other.txt', writes: [src/**], retry: {max: 0}, on_failure: continue}
      c: {approval: {ask: "Go?"}, needs: [b]}
"""
    bare = Bare(tmp_path, HEAD + stages)
    (bare.root / ".gitignore").write_text("*.env\n")
    bare.commit("Ignore")
    (bare.root / ".worktreeinclude").write_text("*.env\n")
    (bare.root / "local.env").write_text("API_KEY='abcdefgh-secret'\n")
    (bare.root / "other.env").write_text("just a file\n")
    assert bare.run("trigger_workflow", "main", "an idea").returncode == 3
    found = bare.result()
    assert "the value of $API_KEY" in found["stages"]["a"]["reason"]
    assert "src/other.txt: a copy of a file that git ignores" in found["stages"]["b"]["reason"]
    texts = [path.read_bytes() for path in tmp_path.rglob("*.log") if path.is_file()]
    assert not any(b"abcdefgh-secret" in text for text in texts)
    assert found["workspace"].endswith("/workspaces/1/tree")
    assert found["disk_bytes"] > 0, "the run waits, and keeps its workspace"
    assert "MB on the disk" in bare.run("pipeline", "status", bare.newest()).stdout
