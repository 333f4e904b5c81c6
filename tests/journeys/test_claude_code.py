"""The real Claude Code command line as planner and developer, against a model server of ours on
loopback.
"""

import json
import os

import pytest

from pipeline.demo import stage_set
from tests.helpers.agent_clis import (
    AgentCli,
    MissingCli,
    cache_folder,
    claude_argv,
    claude_code,
    scrubbed_env,
)
from tests.helpers.model_server import CWD, Call, ModelServer, Say
from tests.helpers.project import Project

PASSED = [
    "HOME",
    "ANTHROPIC_*",
    "CLAUDE_CODE_*",
    "DISABLE_*",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "IS_SANDBOX",
    "XDG_RUNTIME_DIR",
]


@pytest.fixture(scope="module")
def cli() -> AgentCli:
    try:
        return claude_code(cache_folder(os.environ), os.environ)
    except MissingCli as exc:
        pytest.skip(f"Claude Code from npm is missing: {exc}")


def script() -> dict:
    """What the model says: a plan after a look around, and edits through the agent's own tools."""
    takes = stage_set.CASSETTE
    plan = (takes / "planner" / "1" / "outputs" / "plan.md").read_text()
    source = (takes / "developer" / "2" / "files" / "src" / "trading" / "risk.py").read_text()
    package = (takes / "developer" / "2" / "files" / "src" / "trading" / "__init__.py").read_text()
    return {
        "You are the planner": [[Call("Read", file_path=f"{CWD}/README.md")], [Say(plan)]],
        "You are the developer": [
            [Call("Read", file_path=f"{CWD}/src/trading/__init__.py")],
            [
                Call("Write", file_path=f"{CWD}/src/trading/risk.py", content=source),
                Call("Write", file_path=f"{CWD}/src/trading/__init__.py", content=package),
            ],
            [Say("The risk monitor is in src/trading/risk.py.")],
        ],
    }


def test_claude_code_plans_and_develops_a_pull_request(tmp_path, cli):
    project = Project(tmp_path / "p")
    argv = claude_argv(cli, "--model", "sonnet")
    for role in ("planner", "developer"):
        more = f", command: {json.dumps(argv)}, pass_env: {json.dumps(PASSED)}"
        project.edit_flow(
            f"{role}: {{prompt: {role}.md.j2", f"{role}: {{prompt: {role}.md.j2{more}"
        )
    project.git("push", "-q", "origin", "main")
    with ModelServer(script()) as server:
        env = scrubbed_env(cli, server.base_url, project.home)
        env["PATH"] = f"{cli.node_bin}{os.pathsep}{project.env['PATH']}"
        process = project.trigger("limit the risk", "--json", **env)
    assert server.faults == ()
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    assert server.played() == [
        ("You are the planner", 0),
        ("You are the planner", 1),
        ("You are the developer", 0),
        ("You are the developer", 1),
        ("You are the developer", 2),
    ]
    assert result["stages"]["developer"]["agent"] == "claude"
    assert [commit["subject"] for commit in result["commits"]] == [
        "test: add a risk monitor with position limits (failing)",
        "feat: add a risk monitor with position limits",
    ]
    assert "Agent: claude" in project.git("log", "-1", "--format=%B", result["head"])
    (pull,) = project.pulls()
    assert pull["head_commit"] == result["head"]
    assert project.survivors() == []
