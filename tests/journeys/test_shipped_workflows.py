"""The shipped workflows besides `idea_to_feature`, each to its pull request with real agents' edits."""

import json
import shutil

import pytest

from tests.helpers.project import PYTEST, Project

pytestmark = pytest.mark.slow
SOURCE = "src/trading/__init__.py"


@pytest.fixture
def project(tmp_path):
    """A project with a changelog, whose developer is right at once."""
    made = Project(tmp_path / "p", test=PYTEST)
    (made.root / "CHANGELOG.md").write_text("# Changes\n")
    made.git("add", "CHANGELOG.md")
    made.git("commit", "--quiet", "-m", "Keep a changelog")
    made.git("push", "--quiet", "origin", "main")
    shutil.rmtree(made.takes / "developer" / "1")
    shutil.copytree(made.takes / "developer" / "2", made.takes / "developer" / "1")
    return made


def started(project, workflow):
    done = project.run("trigger_workflow", workflow, "limit the risk", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), project.pulls()[0]["body"]


def calls(project):
    return {
        path.parent.name: len(path.read_text().splitlines())
        for path in project.takes.glob("*/calls")
    }


@pytest.mark.parametrize("workflow", ["bugfix", "quick"])
def test_a_failing_test_comes_first_and_few_are_called(project, workflow):
    project.script("review", 1, FINDINGS)
    result, body = started(project, workflow)
    assert {one["gate"]: one["verdict"] for one in result["gates"]} | {
        "checks": "not_applicable"
    } == {
        "red": "passed",
        "green": "passed",
        "proof": "passed",
        "untampered": "passed",
        "checks": "not_applicable",
        "documents": "passed",
        **({"findings": "passed"} if workflow == "quick" else {}),
    }
    called = calls(project)
    # The changelog was asked for once; then the pull request says that its line is missing.
    assert called == {"create_tests": 1, "developer": 2, "verify": 1} | (
        {"review": 1} if workflow == "quick" else {}
    )
    assert "| The changelog has a line about it | **NO** |" in body


@pytest.mark.parametrize("workflow", ["refactor", "deps"])
def test_the_tests_stay_and_the_source_changes(project, workflow):
    code = (
        "from pathlib import Path\n"
        f"path = Path({SOURCE!r})\n"
        "path.write_text(path.read_text() + '\\n# the same, in other words\\n')\n"
    )
    project.script("developer", 1, code)
    shutil.rmtree(project.takes / "developer" / "1" / "files")
    result, _ = started(project, workflow)
    assert calls(project) == {"developer": 1}
    gates = {one["gate"] for one in result["gates"]}
    assert gates - {"noticed"} == {"green", "untampered", "checks"}
    assert ("noticed" in gates) == (workflow == "refactor")
    changed = project.git("diff", "--name-only", result["base"], result["head"]).splitlines()
    assert changed == [SOURCE]


@pytest.mark.parametrize("workflow", ["refactor", "deps"])
def test_a_changed_test_is_no_refactoring(project, workflow):
    project.script_every_try("developer", "open('tests/test_account.py', 'a').write('# x\\n')\n")
    done = project.run("trigger_workflow", workflow, "tidy up")
    assert done.returncode == 1
    assert project.pulls() == []


def test_documents_are_written_and_no_code(project):
    project.script("writer", 1, "open('README.md', 'a').write('\\nMore words.\\n')\n")
    result, _ = started(project, "docs")
    changed = project.git("diff", "--name-only", result["base"], result["head"]).splitlines()
    assert changed == ["README.md"]
    assert calls(project) == {"writer": 1}


FINDINGS = "(outputs / 'findings.json').write_text('{\"findings\": []}')\n"
