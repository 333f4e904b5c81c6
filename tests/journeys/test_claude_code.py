"""The real Claude Code command line in every stage, against a model server of ours on loopback."""

import json
import os
import re

import pytest

from pipeline.demo import stage_set
from tests.helpers.agent_clis import (
    AgentCli,
    MissingCli,
    cache_folder,
    claude_code,
    scrubbed_env,
)
from tests.helpers.model_server import CWD, Call, ModelServer, Say, prompt
from tests.helpers.project import PYTEST, Project

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
TAKES = stage_set.CASSETTE
OUTPUT = re.compile(r"Write into the folder (/\S+):")
TESTER = "You are the test-orchestrator (mode: {mode})"


@pytest.fixture(scope="module")
def cli() -> AgentCli:
    try:
        return claude_code(cache_folder(os.environ), os.environ)
    except MissingCli as exc:
        pytest.skip(f"Claude Code from npm is missing: {exc}")


def take(name: str) -> str:
    return (TAKES / name).read_text()


def output(name: str, text: str):
    """The model writes a file into the output folder that its prompt names."""

    def answer(request):
        (folder,) = OUTPUT.findall(prompt(request))
        return [Call("Write", file_path=f"{folder}/{name}", content=text)]

    return answer


def source(number: int) -> list[Call]:
    folder = f"developer/{number}/files/src/trading"
    return [
        Call("Read", file_path=f"{CWD}/src/trading/__init__.py"),
        *(
            Call("Write", file_path=f"{CWD}/src/trading/{name}", content=take(f"{folder}/{name}"))
            for name in ("risk.py", "__init__.py")
        ),
    ]


def script(**more):
    """What the model says in each stage, through the agent's own tools."""
    plan = output("plan.md", take("planner/1/outputs/plan.md"))
    tests = take("create_tests/1/files/tests/test_risk.py")
    findings = [[output("findings.json", '{"findings": []}')], [Say("I found nothing.")]]
    findings = [turn[0] if callable(turn[0]) else turn for turn in findings]
    return {
        "You are the planner": [
            [Call("Read", file_path=f"{CWD}/README.md")],
            plan,
            [Say("The plan is written.")],
        ],
        TESTER.format(mode="create"): [
            [Call("Write", file_path=f"{CWD}/tests/test_risk.py", content=tests)],
            [Say("Twelve tests.")],
        ],
        "You are the developer": [
            source(2)[:1],
            source(2)[1:],
            [Call("Bash", command="python -m pytest -q tests/test_risk.py", description="test")],
            [Say("I decided to keep the limits in one mapping.")],
        ],
        "You are the doc-reviewer (mode: final)": findings,
        "You are the integration-validator (mode: final)": findings,
        **more,
    }


def play(tmp_path, cli, said):
    project = Project(tmp_path / "p", test=PYTEST)
    project.use_agent(str(cli.executable))
    project.edit_flow(
        "  command: [", f"  backend: claude-code\n  pass_env: {json.dumps(PASSED)}\n  command: ["
    )
    project.edit_flow('  pass_env: [HOME, USER, "ANTHROPIC_*", "CLAUDE_CODE_*"]\n', "")
    project.git("push", "-q", "origin", "main")
    with ModelServer(said) as server:
        env = scrubbed_env(cli, server.base_url, project.home)
        env["PATH"] = f"{cli.node_bin}{os.pathsep}{project.env['PATH']}"
        process = project.trigger("limit the risk", "--json", **env)
    assert server.faults == ()
    return project, json.loads(process.stdout or "{}"), process, server


@pytest.mark.slow
def test_claude_code_plays_every_stage_of_a_small_idea(tmp_path, cli):
    project, result, process, server = play(tmp_path, cli, script())
    assert process.returncode == 0, process.stderr
    called = [name for name, stage in result["stages"].items() if stage["usage"]["input_tokens"]]
    assert called == [
        "planner",
        "create_tests",
        "developer",
        "doc_review_final",
        "integration_validator",
    ]
    assert result["cost_usd"] is not None
    assert result["stages"]["developer"]["agent"].startswith("claude (")
    ran = [one for one in server.served if one.marker == "You are the developer" and one.turn == 3]
    assert "12 passed" in json.dumps(ran[0].request), "it may run the target's own command"
    (pull,) = project.pulls()
    assert "> I decided to keep the limits in one mapping." in pull["body"]
    assert pull["head_commit"] == result["head"]
    assert project.survivors() == []


@pytest.mark.slow
def test_a_reviewer_cannot_write_and_a_writer_runs_no_other_command(tmp_path, cli):
    validator = "You are the integration-validator (mode: final)"
    known = script()
    said = {
        **known,
        validator: [
            [Call("Write", file_path=f"{CWD}/src/trading/risk.py", content="broken = True\n")],
            *known[validator],
        ],
        "You are the developer": [
            source(2),
            [Call("Bash", command="curl http://127.0.0.1:9/x", description="fetch")],
            [Say("done")],
        ],
    }
    _, result, process, _ = play(tmp_path, cli, said)
    assert process.returncode == 0, process.stderr
    assert "it was not allowed: Bash: curl" in result["stages"]["developer"]["reason"]
    assert "it was not allowed: Write: " in result["stages"]["integration_validator"]["reason"]


@pytest.mark.slow
def test_a_large_idea_goes_through_every_stage(tmp_path, cli):
    scope = json.dumps({"size": "large", "reproduced": "no example", "questions": ["which?"]})
    known = script()
    interfaces = take("sdk_analyst/1/files/docs/analysis/interfaces.md")
    said = {
        **known,
        "You are the planner": [
            output("plan.md", take("planner/1/outputs/plan.md")),
            output("scope.json", scope),
            [Say("planned")],
        ],
        "You are the coordinator": [
            output("work_plan.json", take("coordinator/1/outputs/work_plan.json")),
            [Say("cut")],
        ],
        "You are the sdk-analyst": [
            [
                Call(
                    "Write",
                    file_path=f"{CWD}/docs/analysis/interfaces.md",
                    content=interfaces,
                )
            ],
            [Say("answered")],
        ],
        "You are the doc-reviewer (mode: early)": [[Say("The README promises nothing.")]],
        "You are the integration-validator (mode: early)": [[Say("Account.apply is called.")]],
        "You are the developer": [
            lambda request: source(2 if "What was found" in prompt(request) else 1),
            [Say("done")],
        ],
        TESTER.format(mode="verify"): [[Say("The source is wrong: it compares with <.")]],
    }
    _, result, process, server = play(tmp_path, cli, said)
    assert process.returncode == 0, process.stderr
    assert result["stages"]["developer"]["attempts"] == 2
    told = next(
        prompt(one.request)
        for one in server.served
        if one.marker == "You are the developer" and "What was found" in prompt(one.request)
    )
    assert "last_round/verify/answer.md" in told
    assert "doc_reviewer/answer.md" in told
