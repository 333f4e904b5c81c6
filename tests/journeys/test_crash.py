"""Killed anywhere, then resumed: one branch, one pull request, the same commits, nothing paid
twice, nothing left.
"""

import json
import subprocess

import pytest

from pipeline.files import failpoints
from tests.helpers.project import Project, kill, wait_for

RUN = "20260102-030405-0a1b2c3d"
SECONDS = ("stage.intended", "stage.recorded", "branch.set", "push.done", "pr.created")
NAMES = tuple(name for name in failpoints.NAMES if not name.startswith("person."))
STAGES = (
    "planner",
    "coordinator",
    "sdk_analyst",
    "create_tests",
    "developer",
    "verify",
    "integration_validator",
)


def start_run(project: Project, **env: str) -> "subprocess.CompletedProcess[str]":
    return project.run("trigger_workflow", "idea_to_feature", RUN, "limit the risk", **env)


def check(project: Project, before: dict[str, str], *, calls_at_most: int = 0) -> dict:
    """What must be true after any number of kills and one resume to the end."""
    result = project.result(RUN)
    assert result["state"] == "done", result["reason"]
    assert project.fingerprint() == before
    heads = {name: commit for name, commit in project.remote_refs().items() if "main" not in name}
    assert heads == {f"refs/heads/{result['branch']}": result["head"]}
    assert project.git("rev-parse", result["branch"]) == result["head"]
    assert [pull["head_commit"] for pull in project.pulls()] == [result["head"]]
    expected = {
        "planner": 1,
        "create_tests": 1,
        "developer": 2,
        "verify": 1,
        "integration_validator": 1,
    }
    called = {stage: project.calls(stage) for stage in expected}
    assert sum(called.values()) <= sum(expected.values()) + calls_at_most, called
    assert project.survivors() == []
    return result


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a run makes that nobody kills: the trees of source and tests, and the subjects of its
    commits.
    """
    project = Project(tmp_path_factory.mktemp("quiet"))
    assert start_run(project).returncode == 0
    return _made(project, project.result(RUN))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[] if number % 10 == 0 or name == "push.done" else [pytest.mark.slow]
        )
        for number, name in enumerate(NAMES)
    ],
)
def test_killed_at_a_failpoint_and_resumed_the_run_ends_as_if_nothing_had_been(
    project, name, quiet
):
    before = project.fingerprint()
    killed = start_run(project, PIPELINE_FAILPOINT=name)
    assert killed.returncode == -9, f"{name} was not reached: {killed.stderr}"
    commits = _stage_commits(project)
    resumed = project.run("pipeline", "resume", RUN)
    assert resumed.returncode == (5 if name in {"run.finished", "latest.switched"} else 0), (
        resumed.stderr
    )
    result = check(project, before)
    assert commits.items() <= _stage_commits(project).items(), (
        "a commit that was there is there again, the same one"
    )
    assert _made(project, result) == quiet
    assert (project.root / "docs" / "status" / "latest").readlink().name == RUN


@pytest.mark.parametrize(
    "stage",
    [pytest.param(one, marks=[] if one == "developer" else [pytest.mark.slow]) for one in STAGES],
)
@pytest.mark.parametrize("point", ["stage.launched", "stage.recorded"])
def test_killed_in_each_stage_and_resumed_no_finished_stage_runs_again(project, stage, point):
    before = project.fingerprint()
    killed = start_run(project, PIPELINE_FAILPOINT=f"{point}@{stage}")
    assert killed.returncode == -9, killed.stderr
    resumed = project.run("pipeline", "resume", RUN)
    assert resumed.returncode == 0, resumed.stderr
    check(project, before)
    assert project.calls(stage) == (2 if stage == "developer" else 1), (
        "its one call was adopted, not repeated"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), list(zip(NAMES[4:], SECONDS * 9, strict=False)))
def test_killed_twice_and_resumed_the_run_still_ends_once(project, first, second):
    before = project.fingerprint()
    assert start_run(project, PIPELINE_FAILPOINT=first).returncode == -9
    again = project.run("pipeline", "resume", RUN, PIPELINE_FAILPOINT=second)
    if again.returncode == -9:
        again = project.run("pipeline", "resume", RUN)
    assert again.returncode in {0, 5}, again.stderr
    check(project, before, calls_at_most=2)


def test_an_agent_that_outlives_the_pipeline_is_adopted_and_not_called_again(project):
    gate = project.folder / "go-on"
    project.script(
        "planner", 1, f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
    )
    process = project.start("trigger_workflow", "idea_to_feature", RUN, "limit the risk")
    wait_for(lambda: project.calls("planner") == 1, "the planner is called")
    kill(process)
    assert any("scripted_agent" in line for line in project.survivors()), "the paid agent lives on"
    resumed = project.start("pipeline", "resume", RUN)
    gate.touch()
    assert resumed.wait(timeout=60) == 0, resumed.stderr
    resumed.communicate()
    assert project.calls("planner") == 1
    assert project.result(RUN)["stages"]["planner"]["attempts"] == 1
    assert project.survivors() == []


def test_an_agent_that_died_with_the_pipeline_is_called_again_and_counted_as_lost(project):
    process = project.start("trigger_workflow", "idea_to_feature", RUN, "limit the risk")
    marker = project.folder / "started"
    project.script("planner", 1, f"import time; open({str(marker)!r}, 'w'); time.sleep(600)")
    wait_for(marker.exists, "the planner works")
    kill(process)
    for line in project.survivors():
        subprocess.run(["kill", "-9", line.split()[0]], check=False)
    wait_for(lambda: not project.survivors(), "everything is dead")
    project.script("planner", 1, "pass")
    resumed = project.run("pipeline", "resume", RUN)
    assert resumed.returncode == 0, resumed.stderr
    stage = project.result(RUN)["stages"]["planner"]
    assert (stage["state"], stage["attempts"]) == ("done", 2)


@pytest.mark.slow
def test_two_resumes_at_once_one_works_and_the_other_names_it(project):
    gate = project.folder / "go-on"
    project.script(
        "planner", 1, f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
    )
    first = project.start("trigger_workflow", "idea_to_feature", RUN, "limit the risk")
    wait_for(lambda: project.calls("planner") == 1, "the planner is called")
    second = project.run("pipeline", "resume", RUN)
    gate.touch()
    assert first.wait(timeout=60) == 0
    first.communicate()
    assert second.returncode == 75
    assert f"process {first.pid}" in second.stderr
    assert "pipeline cancel" in second.stderr


@pytest.mark.slow
def test_the_demo_kills_itself_and_goes_on(tmp_path):
    project = Project(tmp_path / "p")
    shown = project.run(
        "pipeline", "demo", "--keep", str(tmp_path / "demo"), "--crash-after", "developer", "--json"
    )
    assert shown.returncode == 0, shown.stderr
    result = json.loads(shown.stdout)
    assert result["state"] == "done"
    assert "killed (SIGKILL) right after developer" in shown.stderr


def _stage_commits(project: Project) -> dict[str, str]:
    stores = list((project.folder / "state" / "repos").glob("*/store.git"))
    if not stores:
        return {}
    text = subprocess.run(
        ["git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/runs", "refs/heads"],
        cwd=stores[0], env={**project.env, "GIT_DIR": str(stores[0])}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return dict(line.split(" ") for line in text.splitlines())


def _made(project: Project, result: dict) -> list[str]:
    trees = [project.git("rev-parse", f"{result['head']}:{folder}") for folder in ("src", "tests")]
    return [*trees, *(commit["subject"] for commit in result["commits"])]
