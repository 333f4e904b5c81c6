"""Real projects from their archives: `init`, `doctor` and a run work unaided, through one failure,
to a merge.

The agents are scripted, and called `claude`; everything else is real: the projects, their
dependencies, their tests.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.archives import MissingArchive
from tests.helpers.project import AGENT, BIN
from tests.helpers.wild import Wild
from tests.real.projects import PROJECTS, Real

pytestmark = pytest.mark.slow
NO_FINDINGS = json.dumps({"findings": []})


class Copy(Wild):
    """A repository made of an archive, with a bare remote, hooks and a second branch; agents that
    play takes.
    """

    def __init__(self, folder: Path, real: Real) -> None:
        self.root = self.origin = folder / "repo"
        self.remote = folder / "remote.git"
        self.takes = folder / "takes"
        self.root.mkdir()
        real.lay_out(self.root)
        agent = folder / "bin" / "claude"
        agent.parent.mkdir()
        agent.write_text(f'#!/bin/sh\nexec {sys.executable} {AGENT} {self.takes} "$@"\n')
        agent.chmod(0o755)
        for command in (
            "pipeline",
            "trigger_workflow",
        ):  # ours, but not the Python and the tools beside them
            (agent.parent / command).symlink_to(BIN / command)
        tools = [str(agent.parent), str(Path(sys.base_prefix) / "bin")]
        node = shutil.which("node")
        tools += [str(Path(node).parent)] if node else []
        self.env = {
            "PATH": ":".join([*tools, "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PIPELINE_STATE_DIR": str(folder / "state"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "ANTHROPIC_API_KEY": "none",
        }
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "A Person")
        self.git("config", "user.email", "person@example.org")
        self.commit(f"Import {real.name}")
        if real.tag:
            self.git("tag", real.tag)
        self.git("branch", "other")
        self.with_remote()
        self._write_takes(real)

    def _write_takes(self, real: Real) -> None:
        self._take("planner", "answer.md", f"# {real.idea[:1].upper()}{real.idea[1:]}\n\nA plan.\n")
        plan = {
            "title": real.idea,
            "items": [{"title": real.idea, "files": [*real.right], "done_when": "it works"}],
        }
        self._take("coordinator", "outputs/work_plan.json", json.dumps(plan))
        for stage in ("sdk_analyst", "doc_reviewer", "integration_check", "verify"):
            self._take(stage, "answer.md", "Seen.\n")
        for stage in ("doc_review_final", "integration_validator"):
            self._take(stage, "outputs/findings.json", NO_FINDINGS)
        for path, text in real.tests.items():
            self._take("create_tests", f"files/{path}", text)
        for path, text in (real.wrong | self._appended(real)).items():
            self._take("developer", f"files/{path}", text)
        for path, text in real.right.items():
            self._take("developer", f"files/{path}", text, 2)

    def _appended(self, real: Real) -> dict[str, str]:
        return {path: (self.root / path).read_text() + more for path, more in real.append.items()}

    def _take(self, stage: str, name: str, text: str, number: int = 1) -> None:
        path = self.takes / stage / str(number) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *command: str, **env: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*command, **env)
        out, err = process.communicate(timeout=900)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def says(self, *command: str, code: int = 0) -> str:
        done = self.run(*command)
        assert done.returncode == code, (
            f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout + done.stderr

    def status(self) -> str:
        return self.git("status", "--porcelain=v2", "--branch", "--untracked-files=all")


@pytest.fixture(params=PROJECTS, ids=lambda real: real.name.replace(" ", "-").replace(",", ""))
def copy(request, tmp_path):
    if shutil.which("npm") is None and (
        "TypeScript" in request.param.name or "monorepo" in request.param.name
    ):
        pytest.skip("npm is not installed")
    try:
        return Copy(tmp_path, request.param), request.param
    except MissingArchive as missing:
        pytest.skip(str(missing))


def test_init_and_a_run_work_unaided_through_one_failure_to_a_merge(copy):
    repo, real = copy
    assert "next: look at agents/flow.yaml, then: pipeline doctor" in repo.says("pipeline", "init")
    repo.commit("Take up the pipeline")
    repo.git("push", "--quiet", "origin", "main")
    found: dict[str, Any] = json.loads(
        repo.says("pipeline", "doctor", "--json").partition("\n{")[0]
    )
    verdicts = {check["name"]: check["status"] for check in found["checks"]}
    assert "fail" not in verdicts.values()
    tests = [check for check in found["checks"] if check["name"].startswith("tests of ")]
    assert len(tests) == real.targets
    if real.fails_on_base:
        assert f"{real.fails_on_base} test(s) fail on the base already" in tests[0]["text"]
    before, status = repo.fingerprint(), repo.status()

    repo.says("trigger_workflow", "idea_to_feature", real.idea)

    result = repo.result()
    assert result["state"] == "done"
    documents = next(one for one in result["gates"] if one["gate"] == "documents")
    is_asked = "has no line about it" in documents["detail"]
    assert result["stages"]["developer"]["rounds"] == (3 if is_asked else 2)
    gates = result["tests"]
    assert {gates["green"]["verdict"], gates["proof"]["verdict"]} == {"passed"}
    new = gates["red"]["evidence"]["targets"].values()
    assert sum(len(one["tests"]) + len(one["files"]) for one in new) >= real.targets
    assert repo.changed() == sorted({*real.tests, *real.wrong, *real.append})
    assert repo.status() == status
    assert repo.fingerprint() == before
    repo.says("pipeline", "pr", "merge", "1")
    merged = repo.at(repo.remote, "ls-tree", "-r", "--name-only", "main").splitlines()
    assert set(real.tests) <= set(merged)
    assert repo.at(repo.remote, "rev-parse", "other") == repo.git("rev-parse", "other")
