"""`pipeline init` and `pipeline doctor`, as a person meets them, and what a run refuses to start
with.
"""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.helpers.looks import PYTHON
from tests.helpers.project import BIN

FLOW = """\
version: 1
targets: [{name: app, source: [src/**], tests: [tests/**], test: python -m pytest -q, checks: ["CHECK"]}]
defaults: {command: [AGENT], pass_env: [HOME]}
workflows:
  greet:
    stages: {hello: {run: "true", gates: [green, checks]}}
"""


class Repo:
    """A small repository of a person, and the commands they type in it; `claude` is on the PATH
    unless said.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "repo"
        self.home = folder / "home"
        self.home.mkdir()
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.program("claude")
        self.root.mkdir()
        self.git("init", "-q", "-b", "main")
        self.write(PYTHON)
        self.commit()

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": f"{self.programs}{os.pathsep}{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "ANTHROPIC_API_KEY": "none",
            "GIT_CONFIG_NOSYSTEM": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
        }

    def program(self, name: str) -> None:
        (self.programs / name).write_text("#!/bin/sh\n")
        (self.programs / name).chmod(0o755)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_bytes(text.encode())

    def read(self, name: str) -> str:
        return (self.root / name).read_bytes().decode()

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "feat: first")

    def says(self, *command: str, status: int = 0) -> str:
        """Run one of our commands; return all that it prints."""
        done = subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            cwd=self.root, env=self.env, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def flow(self, *, check: str = "true", agent: str = "claude") -> None:
        self.write({"agents/flow.yaml": FLOW.replace("CHECK", check).replace("AGENT", agent)})
        self.commit()


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path)


@pytest.fixture
def taken(repo: Repo) -> Repo:
    """A repository that has been taken into use."""
    repo.says("pipeline", "init")
    return repo


def test_init_shows_what_it_found_writes_it_and_says_what_comes_next(repo):
    repo.write({".gitignore": "*.pyc"})
    said = repo.says("pipeline", "init")
    assert "target thing  python -m pytest -q" in said
    assert "pyproject.toml names pytest" in said
    assert said.endswith("next: look at agents/flow.yaml, then: pipeline doctor\n")
    assert repo.read("agents/flow.yaml").startswith(
        "# yaml-language-server: $schema=flow.schema.json\n"
    )
    assert repo.read(".gitignore").startswith(
        "*.pyc\n# Records of runs (idea-to-pr)\n/docs/status/\n"
    )
    assert "is valid" in repo.says("pipeline", "flow", "check")


def test_init_dry_run_writes_nothing(repo):
    assert "would write  agents/flow.yaml" in repo.says("pipeline", "init", "--dry-run")
    assert repo.git("status", "--porcelain") == ""


def test_init_as_json_says_the_same(repo):
    found = json.loads(repo.says("pipeline", "init", "--json", "--dry-run"))
    assert found["survey"]["parts"][0]["name"] == "thing"
    assert "agents/flow.yaml" in found["files"]


def test_init_leaves_a_flow_that_is_there_alone(repo):
    repo.write({"agents/flow.yaml": "mine\n"})
    assert "is there already" in repo.says("pipeline", "init", status=2)
    assert repo.read("agents/flow.yaml") == "mine\n"


def test_init_leaves_prompts_that_are_there_alone(repo):
    repo.write({"agent_prompts/planner.md.j2": "mine\n"})
    assert "kept   agent_prompts/planner.md.j2" in repo.says("pipeline", "init", "--eject-prompts")
    assert repo.read("agent_prompts/planner.md.j2") == "mine\n"
    assert "{" in repo.read("agent_prompts/developer.md.j2")


def test_init_where_agents_is_a_file_writes_nothing(repo):
    repo.write({"agents": "mine\n"})
    said = repo.says("pipeline", "init", status=2)
    assert f"Make sure that you may write to {repo.root / 'agents'}" in said
    assert repo.read("agents") == "mine\n"
    assert not (repo.root / ".gitignore").exists()


def test_init_keeps_the_line_endings_of_the_ignore_rules(repo):
    repo.write({".gitignore": "*.pyc\r\n"})
    repo.says("pipeline", "init")
    text = repo.read(".gitignore")
    assert text.count("\n") == text.count("\r\n") == 6


def test_init_before_the_first_commit_and_on_no_branch(repo):
    repo.git("checkout", "-q", "--detach")
    repo.git("branch", "-qD", "main")
    assert "base branch   none" in repo.says("pipeline", "init")
    assert "HEAD is detached" in repo.says("pipeline", "doctor", "--quick", status=2)


def test_init_where_nothing_shows_how_it_is_tested(repo):
    repo.git("rm", "-rq", ".")
    repo.write({"package.json": '{"name": '})
    said = repo.says("pipeline", "init", status=2)
    assert "package.json cannot be read: Expecting value" in said
    assert "Fix that, then again: pipeline init" in said


def test_init_without_an_agent_says_so(repo):
    (repo.programs / "claude").unlink()
    repo.program("codex")
    repo.says("pipeline", "init")
    assert "command: [codex, exec" in repo.read("agents/flow.yaml")


def test_update_merges_what_is_new_with_what_a_person_changed(taken):
    text = taken.read("agents/flow.yaml")
    taken.write({"agents/flow.yaml": text + "limits: {usd: 5}\n", "setup.cfg": "[flake8]\n"})
    assert "merged  agents/flow.yaml" in taken.says("pipeline", "init", "--update")
    merged = taken.read("agents/flow.yaml")
    assert "limits: {usd: 5}" in merged
    assert "checks: [flake8 src]" in merged
    assert "nothing is new" in taken.says("pipeline", "init", "--update", status=5)


def test_update_that_clashes_leaves_the_file_and_is_made_once(taken):
    mine = taken.read("agents/flow.yaml").replace("[src/**, pyproject.toml]", "[mine/**]")
    taken.write({"agents/flow.yaml": mine, "setup.cfg": ""})
    said = taken.says("pipeline", "init", "--update", status=2)
    assert "Take over from agents/flow.yaml.new what you want" in said
    assert taken.read("agents/flow.yaml") == mine
    assert "setup.cfg]" in taken.read("agents/flow.yaml.new")
    said = taken.says("pipeline", "init", "--update", status=5)
    assert "Still there from an earlier update: agents/flow.yaml.new" in said


def test_doctor_is_green_where_a_run_would_start(repo):
    repo.flow()
    said = repo.says("pipeline", "doctor")
    assert "1 test(s) pass" in said
    assert "· tests of app: python -m pytest -q\n" in said
    assert "· check of app: true\n" in said
    assert "no earlier run of greet" in said
    assert 'ready. next: trigger_workflow greet "..."' in said


@pytest.mark.slow
def test_doctor_lists_tests_that_fail_already(repo):
    repo.write({"tests/test_old.py": "def test_old():\n    assert 0\n"})
    repo.flow()
    said = repo.says("pipeline", "doctor")
    assert (
        "1 test(s) fail on the base already and are not held against a change: tests.test_old::test_old"
        in said
    )
    assert "ready (1 warning(s))" in said


def test_doctor_shows_each_failure_with_its_hint(repo):
    repo.write({"tests/test_old.py": "import nothing_of_that_name\n"})
    repo.flow(check="no-such-linter", agent="no-such-agent")
    said = repo.says("pipeline", "doctor", status=2)
    assert "'no-such-agent' of the role" not in said
    assert "the tests of the base cannot be run: tests/test_old.py: " in said
    assert "Make this work first: python -m pytest -q" in said
    assert "the check 'no-such-linter' of app cannot be run" in said
    assert "let workspace.setup bring it" in said
    assert "2 problem(s) to fix, then again: pipeline doctor" in said


def test_doctor_shows_what_a_set_up_said_and_names_no_file_that_is_gone(repo):
    repo.flow()
    repo.write(
        {
            "agents/flow.yaml": repo.read("agents/flow.yaml")
            + 'workspace: {setup: ["echo no such thing; exit 3"]}\n'
        }
    )
    said = repo.says("pipeline", "doctor", status=2)
    assert "failed: exit status 3: no such thing\n" in said
    assert "Make it work in a fresh clone" in said


def test_a_run_is_refused_before_it_starts_when_its_agent_is_missing(repo):
    (repo.programs / "claude").unlink()
    repo.says("pipeline", "init")
    path = os.pathsep.join((str(repo.programs), "/usr/bin", "/bin"))
    if shutil.which("claude", path=path):
        pytest.skip("a real claude is installed")
    said = repo.says("trigger_workflow", "idea_to_feature", "an idea", status=2)
    assert "the agent 'claude' of the role coordinator is not on the PATH" in said
    assert not (repo.root / "docs").exists()


def test_a_run_says_what_earlier_ones_took(repo):
    repo.write(
        {
            "agents/flow.yaml": FLOW.replace(", gates: [green, checks]", "").replace(
                "AGENT", "claude"
            )
        }
    )
    assert "price: no earlier run of greet to tell from" in repo.says(
        "trigger_workflow", "greet", "hello"
    )
    said = repo.says("pipeline", "doctor", "--quick")
    assert "going by 1 earlier run(s), the cost is not known; no limit is set" in said


class _Refuses(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="git"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def refusing() -> Iterator[str]:
    """The address of a server that takes nobody's credentials."""
    server = HTTPServer(("127.0.0.1", 0), _Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/repo.git"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_a_remote_that_refuses_the_credentials_is_told_before_a_run(taken, refusing):
    taken.git("remote", "add", "origin", refusing)
    said = taken.says("pipeline", "doctor", "--quick", status=4)
    assert "origin would not take a branch" in said
    assert "or keep all here: --no-pr" in said
    taken.says("trigger_workflow", "idea_to_feature", "an idea", status=4)


def test_a_remote_that_is_not_there_is_told_before_a_run(taken):
    taken.git("remote", "add", "origin", str(taken.root.parent / "gone.git"))
    assert "origin would not take a branch" in taken.says("pipeline", "doctor", "--quick", status=2)
