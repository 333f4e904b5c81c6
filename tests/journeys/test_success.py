"""The main job, as a user sees it: an idea becomes a pull request."""

import json
import subprocess

import pytest

from tests.helpers.project import PYTEST, Project


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Project, dict[str, str], "subprocess.CompletedProcess[str]"]:
    """One run with `command` agents on a dirty checkout, shared by the tests that look at it."""
    project = Project(tmp_path_factory.mktemp("success"), test=PYTEST)
    (project.root / "README.md").write_text("changed, not staged\n")
    (project.root / "src" / "trading" / "positions.py").write_text("staged = True\n")
    project.git("add", "src/trading/positions.py")
    (project.root / "untracked.txt").write_text("mine\n")
    before = project.fingerprint()
    return project, before, project.trigger("limit the risk of a position", "--json")


def test_the_run_ends_with_status_0_and_a_result_object(done):
    project, _, process = done
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    assert result["state"] == "done"
    assert result["exit_code"] == 0
    assert result["pr"]["number"] == 1
    assert [commit["stage"] for commit in result["commits"]] == ["create_tests", "developer"]
    assert result["tests"]["green"]["verdict"] == "passed"
    assert result["cost_usd"] is None, "a cost that nobody told is unknown, not zero"


def test_the_dirty_checkout_is_left_as_it_was_byte_by_byte(done):
    project, before, _ = done
    assert project.fingerprint() == before


def test_git_status_of_the_user_shows_nothing_of_the_run(done):
    project, _, _ = done
    assert project.git("status", "--porcelain").splitlines() == [
        "M README.md",
        "M  src/trading/positions.py",
        "?? untracked.txt",
    ]


def test_there_is_one_branch_one_pull_request_and_nothing_else_on_the_remote(done):
    project, _, process = done
    result = json.loads(process.stdout)
    assert result["branch"] == f"feature/limit-the-risk-of-a-position-{result['run_id']}"
    refs = project.remote_refs()
    assert sorted(refs) == [f"refs/heads/{result['branch']}", "refs/heads/main"]
    assert refs[f"refs/heads/{result['branch']}"] == result["head"]
    (pull,) = project.pulls()
    assert (pull["head"], pull["base"], pull["state"], pull["draft"]) == (
        result["branch"],
        "main",
        "open",
        True,
    )


def test_the_commits_hold_the_change_and_say_who_made_it(done):
    project, _, process = done
    result = json.loads(process.stdout)
    changed = project.git("diff", "--name-only", f"{result['base']}..{result['head']}").splitlines()
    assert changed == ["src/trading/__init__.py", "src/trading/risk.py", "tests/test_risk.py"]
    tests, source = (
        project.git("log", "-1", "--format=%B", commit["sha"]) for commit in result["commits"]
    )
    assert "Stage: create_tests" in tests
    assert "Stage: developer" in source
    assert f"Run-Id: {result['run_id']}" in source
    assert "Agent: python" in source
    assert project.git("log", "-1", "--format=%an", result["head"]) == "Demo"


def test_the_published_tree_is_the_one_that_was_green(done):
    project, _, process = done
    result = json.loads(process.stdout)
    green = next(gate for gate in result["gates"] if gate["gate"] == "green")
    assert project.git("rev-parse", f"{result['head']}^{{tree}}") == green["tree"]


def test_the_wrong_first_round_was_sent_back_with_what_failed(done):
    project, _, process = done
    assert json.loads(process.stdout)["stages"]["developer"]["attempts"] == 2
    prompt = (project.take("developer", 2) / "prompt.md").read_text()
    assert "What was found" in prompt
    assert "test_exactly_the_limit_is_allowed" in prompt


def test_every_file_of_the_run_folder_is_there(done):
    project, _, process = done
    run = json.loads(process.stdout)["run_id"]
    folder = project.run_dir(run)
    for name in (
        "feature_request.md", "planner/plan.md", "coordinator/work_plan.json", "sdk_analyst/answer.md",
        "patches/developer.2.patch", "test_results/summary.json", "test_results/all_passing", "commit_log.json",
        "branch_info.json", "pr_body.md", "pr_url.txt", "pipeline_status.json", "pipeline.log", "journal.jsonl",
    ):  # fmt: skip
        assert (folder / name).is_file(), name
    assert (project.root / "docs" / "plans" / "runs" / run / "plan.md").is_file()
    assert (project.root / "docs" / "status" / "latest").readlink().name == run
    assert json.loads((folder / "pipeline_status.json").read_text())["state"] == "done"


def test_the_body_shows_the_evidence_and_no_claim_of_an_agent_as_fact(done):
    project, _, _ = done
    body = project.pulls()[0]["body"]
    assert "limit the risk of a position" in body
    assert (
        "| `tests.test_risk::test_exactly_the_limit_is_allowed` | red (missing name) | green |"
        in body
    )
    assert "17 passed, 12 of them new" in body
    assert "no model was called" not in body, "that line belongs to a cassette"


def test_the_analysis_is_kept_with_the_run_and_not_in_the_pull_request(done):
    project, _, process = done
    result = json.loads(process.stdout)
    assert "docs/analysis" not in project.git("ls-tree", "-r", "--name-only", result["head"])
    assert (project.run_dir(result["run_id"]) / "patches" / "sdk_analyst.1.patch").is_file()


def test_each_agent_was_called_once_for_each_attempt_and_none_is_left(done):
    project, _, _ = done
    assert [
        project.calls(stage) for stage in ("planner", "create_tests", "developer", "verify")
    ] == [1, 1, 2, 1], "whoever verifies is only called when the gates are not satisfied"
    assert project.survivors() == []


def test_the_pull_request_can_be_shown_and_merged(done):
    project, _, process = done
    result = json.loads(process.stdout)
    assert "risk.py" in project.run("pipeline", "pr", "diff", "1").stdout
    assert result["branch"] in project.run("pipeline", "pr", "show", "1").stdout
    merged = project.run("pipeline", "pr", "merge", "1")
    assert merged.returncode == 0, merged.stderr
    for view in (["list"], ["show", result["run_id"]], ["status", result["run_id"]]):
        shown = project.run("pipeline", *view).stdout
        assert "merged" in shown, view
        assert "pr merge" not in shown, view
    advice = merged.stdout.partition("checkout: ")[2].strip().split(" && ")
    project.git("commit", "--quiet", "--allow-empty", "-m", "ahead of the remote")
    project.git("stash")
    for command in advice:
        project.git(*command.split()[1:])
    head = project.remote_refs()["refs/heads/main"]
    parents = subprocess.run(
        ["git", "log", "-1", "--format=%P", head],
        cwd=project.remote,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert parents[1] == result["head"]
    assert project.run("pipeline", "pr", "merge", "1").returncode == 5
