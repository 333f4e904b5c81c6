"""Keys: an agent sees the one it is given and no other, and none comes out again."""

import json
from pathlib import Path

import pytest

from tests.helpers.project import Project

KEY = "sk-ant-canary-5e1f0c9b7a"
PUSH = "ghp_canary_that_no_agent_may_see"


def with_key(project: Project) -> None:
    project.edit_flow("pass_env: [HOME, USER, ", "pass_env: [MODEL_API_KEY, ")


def written(project: Project) -> bytes:
    """Every byte that the pipeline wrote anywhere, but for what the agents' own scripts hold."""
    out = b""
    for folder in (
        project.root,
        project.remote,
        project.remote.with_name("trading.pulls"),
        project.folder / "state",
    ):
        for path in sorted(folder.rglob("*")) if folder.exists() else []:
            if path.is_file() and not path.is_symlink():
                out += path.read_bytes()
    return out


def test_agents_see_no_credential_but_the_key_that_the_flow_names(project):
    with_key(project)
    seen = project.folder / "seen.json"
    project.script(
        "planner", 1, f"import json, os; json.dump(dict(os.environ), open({str(seen)!r}, 'w'))"
    )
    env = {
        "MODEL_API_KEY": KEY,
        "GITHUB_TOKEN": PUSH,
        "GH_TOKEN": PUSH,
        "SSH_AUTH_SOCK": "/tmp/agent.sock",
        "AWS_SECRET_ACCESS_KEY": PUSH,
    }
    assert project.trigger("an idea", **env).returncode == 0
    environ = json.loads(seen.read_text())
    assert environ["MODEL_API_KEY"] == KEY
    assert PUSH not in environ.values()
    assert "SSH_AUTH_SOCK" not in environ
    assert Path(environ["HOME"]) != project.home, (
        "a home of its own, unless the flow passes the person's"
    )
    assert environ["PIPELINE_RUN_ID"] == project.run_ids()[0]


@pytest.mark.slow
def test_a_key_that_an_agent_prints_is_in_no_log_and_no_pull_request(project):
    with_key(project)
    for stage in ("planner", "developer", "verify"):
        project.script(
            stage,
            1,
            "import os, sys; print(os.environ['MODEL_API_KEY']); "
            "print(os.environ['MODEL_API_KEY'], file=sys.stderr)",
        )
    assert project.trigger("an idea", MODEL_API_KEY=KEY).returncode == 0
    assert "[secret]" in (project.run_dir() / "planner" / "answer.md").read_text()
    assert KEY.encode() not in written(project)


@pytest.mark.slow
def test_a_key_that_an_agent_writes_into_its_result_is_taken_out(project):
    with_key(project)
    code = "import json, os; json.dump({'status': 'done', 'summary': 'used ' + os.environ['MODEL_API_KEY'], 'model': 'm'}, "
    project.script("coordinator", 1, code + "open(os.environ['PIPELINE_RESULT'], 'w'))")
    assert project.trigger("an idea", MODEL_API_KEY=KEY).returncode == 0
    assert "used [MODEL_API_KEY]" in (project.run_dir() / "coordinator" / "answer.md").read_text()
    assert KEY.encode() not in written(project)


def test_a_key_that_an_agent_writes_into_a_file_stops_the_stage_and_is_not_committed(project):
    with_key(project)
    project.script_every_try(
        "developer",
        "import os; open('src/trading/key.py', 'w').write(os.environ['MODEL_API_KEY'])",
    )
    assert project.trigger("an idea", MODEL_API_KEY=KEY).returncode == 1
    assert "the value of $MODEL_API_KEY" in project.result()["stages"]["developer"]["reason"]
    assert list(project.remote_refs()) == ["refs/heads/main"]
    assert KEY not in (project.run_dir() / "pipeline.log").read_text()
    assert not list((project.run_dir() / "patches").glob("developer*"))


def test_a_key_deep_in_a_large_output_stops_the_stage_as_well(project):
    with_key(project)
    code = "import os; path = os.environ['PIPELINE_OUTPUT_DIR'] + '/notes.txt'; "
    code += "open(path, 'w').write('x' * 3_000_000 + os.environ['MODEL_API_KEY'] + 'x' * 3_000_000)"
    project.script_every_try("planner", code)
    assert project.trigger("an idea", MODEL_API_KEY=KEY).returncode == 1
    assert "the value of $MODEL_API_KEY" in project.result()["stages"]["planner"]["reason"]
    assert not (project.run_dir() / "planner" / "notes.txt").exists()


def test_a_flow_that_would_hand_out_a_push_credential_is_refused(project):
    project.edit_flow("pass_env: [HOME, USER, ", "pass_env: [GITHUB_TOKEN, ")
    process = project.trigger("an idea", GITHUB_TOKEN=PUSH)
    assert process.returncode == 2
    assert (
        "GITHUB_TOKEN would give an agent the credentials that publishing needs" in process.stderr
    )
