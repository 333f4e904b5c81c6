"""The road back to the tests: a wrong test is mended without a person, once, and it is all said."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.demo import stage_set
from tests.helpers.project import PYTEST, Project

RIGHT = stage_set.CASSETTE / "create_tests" / "1" / "files" / "tests" / "test_risk.py"
WRONG = """

def test_a_position_is_never_refused():
    from trading.risk import RiskMonitor
    assert RiskMonitor is None
"""
OBJECTION = {
    "objections": [
        {
            "test": "tests/test_risk.py::test_a_position_is_never_refused",
            "why": "it wants the class not to be there",
            "evidence": "plan.md",
        }
    ]
}


@pytest.fixture
def project(tmp_path):
    """A project whose tester delivers one test that cannot be right, and a developer who says so."""
    made = Project(tmp_path / "p", test=PYTEST)
    path = made.take("create_tests") / "files" / "tests" / "test_risk.py"
    path.write_text(RIGHT.read_text() + WRONG)
    shutil.rmtree(made.takes / "developer" / "1")
    shutil.copytree(made.takes / "developer" / "2", made.takes / "developer" / "1")
    outputs = made.take("developer") / "outputs"
    outputs.mkdir()
    (outputs / "objections.json").write_text(json.dumps(OBJECTION))
    return made


def revise(project, text, **delivery):
    """Let the tester answer the objection with this test file, and this `tests.json`."""
    files = project.take("revise_tests") / "files" / "tests"
    files.mkdir(parents=True)
    (files / "test_risk.py").write_text(text)
    outputs = project.take("revise_tests") / "outputs"
    outputs.mkdir()
    (outputs / "tests.json").write_text(json.dumps(delivery))
    (project.take("revise_tests") / "answer.md").write_text("The developer is right.")


def test_a_wrong_test_is_mended_without_a_person_and_the_pull_request_says_so(project):
    named = {"name": OBJECTION["objections"][0]["test"], "why": "the plan wants the class"}
    revise(project, RIGHT.read_text(), revised=[named])
    done = project.trigger("limit the risk", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [project.calls(one) for one in ("developer", "revise_tests", "verify")] == [1, 1, 0]
    body = project.pulls()[0]["body"]
    assert "held `tests/test_risk.py::test_a_position_is_never_refused` to be wrong" in body
    assert "**revised after it was delivered**" in body
    assert "the plan wants the class" in body
    assert "> The developer is right." in body
    assert [commit["stage"] for commit in result["commits"]] == ["revise_tests", "developer"]


@pytest.mark.slow
def test_what_is_revised_without_a_reason_is_refused_and_the_tester_is_told(project):
    revise(project, RIGHT.read_text())
    done = project.trigger("limit the risk", "--json")
    assert done.returncode == 1
    told = (project.takes / "revise_tests" / "1" / "prompt.md").read_text()
    assert "objections, from developer" in told
    reason = json.loads(done.stdout)["stages"]["revise_tests"]["reason"]
    assert "was changed or taken back; name it in tests.json with the reason (revised)" in reason


@pytest.mark.slow
def test_the_tester_may_leave_the_tests_and_then_the_developer_is_on_its_own(project):
    (project.take("revise_tests") / "answer.md").write_text("The test is right.")
    done = project.trigger("limit the risk", "--json")
    assert done.returncode == 1
    assert project.calls("revise_tests") == 1, "one trip a loop, however often it is asked for"
    assert project.calls("verify") >= 1
    told = (project.takes / "developer" / "2" / "prompt.md").read_text()
    assert "the answer of revise_tests, in the last round" in told


@pytest.mark.slow
def test_the_end_of_a_failed_run_names_the_cause_and_what_can_be_done(project):
    (project.take("revise_tests") / "answer.md").write_text("The test is right.")
    done = project.trigger("limit the risk")
    assert done.returncode == 1
    run = project.run_ids()[0]
    shown = project.run("pipeline", "show", run).stdout
    explained = project.run("pipeline", "explain", run).stdout
    for text in (done.stdout, shown, explained):
        assert "triage:test_failure_debugger says: " in text
        assert "irst step: " in text
    for words in (
        f"pipeline open {run}",
        f"pipeline retry {run} developer",
        f"pipeline fork {run} --from developer",
    ):
        assert words in done.stdout
        assert words in explained
    folder = project.run_dir() / "triage" / "test_failure_debugger"
    assert (folder / "docs" / "debug" / "diagnosis.md").is_file()


@pytest.fixture
def failed(project):
    """The id of a run that failed, because the tester left a test that cannot be right."""
    (project.take("revise_tests") / "answer.md").write_text("The test is right.")
    assert project.trigger("limit the risk").returncode == 1
    return project.run_ids()[0]


@pytest.mark.slow
def test_what_a_person_edits_in_a_failed_run_lets_it_go_on(project, failed):
    folder = project.run("pipeline", "open", failed, "--print-path").stdout.strip()
    calls = project.calls("developer")
    (Path(folder) / "tests" / "test_risk.py").write_text(RIGHT.read_text())
    resumed = project.run("pipeline", "resume", failed)
    assert resumed.returncode == 0, resumed.stderr
    assert project.calls("developer") == calls, "what is done is not paid for twice"
    assert len(project.pulls()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("how", ["retry", "fork"])
def test_whoever_runs_again_is_told_what_failed_and_what_was_found(project, failed, how):
    second = project.take("create_tests", 2) / "files" / "tests"
    second.mkdir(parents=True)
    (second / "test_risk.py").write_text(RIGHT.read_text())
    words = [failed, "create_tests"] if how == "retry" else [failed, "--from", "create_tests"]
    done = project.run("pipeline", how, *words)
    assert done.returncode == 0, done.stderr
    told = (project.take("create_tests", 2) / "prompt.md").read_text()
    assert "test_a_position_is_never_refused" in told
    assert "triage:test_failure_debugger says: " in told
