"""Bad input: one clear error, the next command, the right exit code, and nothing left behind."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.helpers.bare import Bare
from tests.helpers.project import BIN, Project, wait_for


def no_run_was_left(project: Project) -> bool:
    return project.run_ids() == [] and list(project.remote_refs()) == ["refs/heads/main"]


def run_in(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    env = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder), "LANG": "C.UTF-8"}
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_outside_a_repository(tmp_path):
    process = run_in(tmp_path, "trigger_workflow", "idea_to_feature", "an idea")
    assert process.returncode == 2
    assert "is not in a git repository" in process.stderr
    assert "git init" in process.stderr


def test_in_a_repository_without_a_commit(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    shutil.copytree(Path(__file__).parents[2] / "agents", tmp_path / "agents")
    flow = tmp_path / "agents" / "flow.yaml"
    flow.write_text(flow.read_text().replace("[claude, -p,", "[git, -p,"))
    process = run_in(tmp_path, "trigger_workflow", "idea_to_feature", "an idea")
    assert process.returncode == 2
    assert "has no commit yet" in process.stderr
    assert "git commit" in process.stderr


def test_without_a_flow_file(project):
    (project.root / "agents" / "flow.yaml").unlink()
    process = project.trigger("an idea")
    assert process.returncode == 2
    assert "has no agents/flow.yaml" in process.stderr
    assert "Write one for this repository: pipeline init" in process.stderr


def test_the_hint_for_a_missing_flow_file_works(project):
    shipped = project.run("pipeline", "flow", "show", "--shipped")
    (project.root / "agents" / "flow.yaml").write_text(shipped.stdout)
    assert project.run("pipeline", "flow", "check").returncode == 0


def test_an_unknown_workflow(project):
    process = project.run("trigger_workflow", "idea_to_featur", "an idea")
    assert process.returncode == 2
    assert "did you mean 'idea_to_feature'?" in process.stderr
    assert no_run_was_left(project)


@pytest.mark.parametrize("idea", ["", "  \n "])
def test_an_empty_idea(project, idea):
    process = project.trigger(idea)
    assert process.returncode == 2
    assert "the idea is empty" in process.stderr
    assert no_run_was_left(project)


def test_an_agent_that_is_not_installed(project):
    project.use_agent("no-such-agent-here", "-p")
    process = project.trigger("an idea")
    assert process.returncode == 2
    assert "'no-such-agent-here'" in process.stderr
    assert "not on the PATH" in process.stderr
    assert no_run_was_left(project)


def test_base_tests_that_cannot_be_collected_end_the_run_before_an_agent_is_paid(
    project_with_pytest,
):
    (project_with_pytest.root / "tests" / "test_account.py").write_text(
        "import nowhere_to_be_found\n"
    )
    project_with_pytest.git("commit", "-qam", "Break the tests")
    project_with_pytest.git("push", "-q", "origin", "main")
    process = project_with_pytest.trigger("an idea")
    assert process.returncode == 2
    assert "No module named 'nowhere_to_be_found'" in process.stderr
    assert "Make this work on main first: python -m pytest -q" in process.stderr
    assert project_with_pytest.calls("planner") == 0


def test_base_tests_that_fail_are_named_and_set_apart(project):
    path = project.root / "tests" / "test_account.py"
    path.write_text(path.read_text() + "\n\ndef test_broken_before():\n    assert False\n")
    project.git("commit", "-qam", "Break a test")
    project.git("push", "-q", "origin", "main")
    assert project.trigger("an idea").returncode == 0
    result = project.result()
    assert any("test_broken_before" in note for note in result["notes"])
    green = result["tests"]["green"]["evidence"]
    assert green["known_failures"] == ["tests.test_account::test_broken_before"]


@pytest.mark.slow
def test_a_flow_with_mistakes_shows_all_of_them_with_their_lines(project):
    path = project.root / "agents" / "flow.yaml"
    path.write_text(
        path.read_text()
        .replace("needs: [planner]", "needs: [planer]")
        .replace("gates: [red]", "gate: [red]")
    )
    process = project.trigger("an idea")
    assert process.returncode == 2
    assert (
        "there is no stage beside this one 'planer'" in process.stderr
        or "unknown key 'gate'" in process.stderr
    )
    assert "agents/flow.yaml:" in process.stderr
    assert no_run_was_left(project)


def test_an_unknown_run_an_unknown_base_and_an_unknown_command(project):
    unknown = project.run("pipeline", "resume", "20260101-000000-ffff")
    assert (unknown.returncode, "there is no run" in unknown.stderr) == (2, True)
    base = project.trigger("an idea", "--base-branch", "develop")
    assert (base.returncode, "There are: main" in base.stderr) == (2, True)
    command = project.run("pipeline", "statsu")
    assert (command.returncode, "Did you mean: pipeline status?" in command.stderr) == (2, True)


def test_a_bad_setting_names_the_variable(project):
    process = project.trigger("an idea", AGENT_PARALLEL_MAX="many")
    assert process.returncode == 2
    assert "AGENT_PARALLEL_MAX is 'many'" in process.stderr


@pytest.mark.slow
def test_a_damaged_journal_is_refused_and_not_touched(project):
    assert project.trigger("an idea").returncode == 0
    path = project.run_dir() / "journal.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[:200] + b"X" + data[201:])
    process = project.run("pipeline", "show", project.run_ids()[0])
    assert process.returncode == 101
    assert "is damaged at byte" in process.stderr
    assert path.read_bytes()[200:201] == b"X"


@pytest.mark.slow
def test_a_branch_of_the_same_name_on_the_remote_is_left_alone(project):
    run = "20260102-030405-0a1b2c3d"
    other = project.git("rev-parse", "HEAD")
    branch = f"feature/an-idea-{run}"
    project.git("push", "-q", "origin", f"HEAD:refs/heads/{branch}")
    process = project.run("trigger_workflow", "idea_to_feature", run, "an idea")
    assert process.returncode == 2
    assert "which this run did not push" in process.stderr
    assert project.remote_refs()[f"refs/heads/{branch}"] == other
    project.git("push", "-q", "origin", f":refs/heads/{branch}")
    resumed = project.run("pipeline", "resume", run)
    assert resumed.returncode == 0, resumed.stderr
    assert project.calls("planner") == 1


@pytest.mark.slow
def test_without_a_remote_there_is_a_branch_and_a_pull_request_file(tmp_path):
    project = Project(tmp_path / "p", remote=False)
    process = project.trigger("an idea")
    assert process.returncode == 0, process.stderr
    result = project.result()
    assert project.git("rev-parse", result["branch"]) == result["head"]
    assert Path(result["pr"]["url"].removeprefix("file://")).is_file()
    merged = project.run("pipeline", "pr", "merge", "1")
    assert (merged.returncode, "git merge feature/an-idea" in merged.stderr) == (2, True)


@pytest.mark.slow
def test_an_idea_comes_from_a_file_or_standard_input_or_a_prepared_request(project):
    (project.folder / "idea.md").write_text("from a file\n")
    assert (
        project.run(
            "trigger_workflow",
            "idea_to_feature",
            "--idea-file",
            str(project.folder / "idea.md"),
            "--no-pr",
        ).returncode
        == 0
    )
    assert project.result()["feature"] == "from-a-file"
    assert project.result()["pr"] is None
    run = "20990102-030405-0a1b2c3d"
    project.run_dir(run).mkdir(parents=True)
    (project.run_dir(run) / "feature_request.md").write_text("Prepared by a person\n")
    assert project.run("trigger_workflow", "idea_to_feature", run, "prepared").returncode == 0
    assert "Prepared by a person" in project.pulls()[0]["body"]


@pytest.mark.slow
def test_ctrl_c_once_lets_the_running_stage_finish_and_says_how_to_go_on(project):
    gate = project.folder / "go-on"
    project.script(
        "planner", 1, f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
    )
    process = project.start("trigger_workflow", "idea_to_feature", "an idea")
    wait_for(lambda: project.calls("planner") == 1, "the planner is called")
    process.send_signal(signal.SIGINT)
    gate.touch()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert f"pipeline resume {project.run_ids()[0]}" in err
    assert project.result()["state"] == "interrupted"
    assert project.result()["stages"]["planner"]["state"] == "done"
    assert project.run("pipeline", "resume", project.run_ids()[0]).returncode == 0
    assert project.calls("planner") == 1


@pytest.mark.slow
def test_ctrl_c_twice_ends_it_now_and_nothing_survives(project):
    project.script(
        "planner",
        1,
        "import os, subprocess, time\nsubprocess.Popen(['sleep', '600'], "
        "start_new_session=True)\ntime.sleep(600)",
    )
    process = project.start("trigger_workflow", "idea_to_feature", "an idea")
    wait_for(lambda: any("sleep 600" in line for line in project.survivors()), "the planner works")
    process.send_signal(signal.SIGINT)
    wait_for(lambda: b"once more" in os.read(process.stderr.fileno(), 65536), "it answers")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert project.survivors() == []
    shutil.copytree(project.take("planner") / "outputs", project.take("planner", 2) / "outputs")
    assert project.run("pipeline", "resume", project.run_ids()[0]).returncode == 0


@pytest.mark.slow
def test_cancel_from_another_terminal_ends_the_run_and_its_processes(project):
    project.script("planner", 1, "import time; time.sleep(600)")
    process = project.start("trigger_workflow", "idea_to_feature", "an idea")
    wait_for(lambda: project.calls("planner") == 1, "the planner is called")
    assert project.run("pipeline", "cancel", project.run_ids()[0]).returncode == 0
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert project.result()["state"] == "cancelled"
    assert project.survivors() == []
    assert project.run("pipeline", "cancel", project.run_ids()[0]).returncode == 5


@pytest.mark.slow
def test_cancel_of_a_run_whose_process_died_ends_its_orphans(project):
    project.script("planner", 1, "import time; time.sleep(600)")
    process = project.start("trigger_workflow", "idea_to_feature", "an idea")
    wait_for(lambda: project.calls("planner") == 1, "the planner is called")
    process.kill()
    process.communicate()
    assert project.survivors() != []
    assert project.run("pipeline", "cancel", project.run_ids()[0]).returncode == 0
    assert project.survivors() == []
    assert project.result()["state"] == "cancelled"


@pytest.mark.slow
def test_a_stage_that_takes_too_long_is_ended_and_tried_again(project):
    project.edit_flow("agent: planner\n", "agent: planner\n        timeout: 2s\n")
    project.script(
        "planner", 1, "import os, time; os.system('setsid sleep 600 &'); time.sleep(600)"
    )
    project.take("planner", 2)
    shutil.copytree(project.take("planner") / "outputs", project.take("planner", 2) / "outputs")
    process = project.trigger("an idea")
    assert process.returncode == 0, process.stderr
    assert "its time limit" in process.stderr
    assert project.result()["stages"]["planner"]["attempts"] == 2
    assert project.survivors() == []


def test_rollback_removes_what_the_run_made_and_nothing_else(project):
    before, refs = project.fingerprint(), project.git("for-each-ref")
    assert project.trigger("an idea").returncode == 0
    run = project.run_ids()[0]
    rolled = project.run("pipeline", "rollback", run)
    assert rolled.returncode == 0, rolled.stderr
    assert project.fingerprint() == before
    assert project.git("for-each-ref") == refs
    assert list(project.remote_refs()) == ["refs/heads/main"]
    assert project.pulls()[0]["state"] == "closed"
    assert project.run_ids() == []
    assert {path.parent.name for path in (project.folder / "state").rglob(run)} == {"rescued"}


@pytest.mark.slow
def test_rollback_leaves_a_branch_that_somebody_committed_to(project):
    assert project.trigger("an idea").returncode == 0
    result = project.result()
    project.git("switch", "-q", result["branch"])
    project.git("commit", "-q", "--allow-empty", "-m", "Mine")
    project.git("push", "-q", "origin", result["branch"])
    project.git("switch", "-q", "main")
    rolled = project.run("pipeline", "rollback", result["run_id"])
    assert "somebody committed to it" in rolled.stderr
    assert project.git("rev-parse", result["branch"]) != result["head"]
    assert project.remote_refs()[f"refs/heads/{result['branch']}"] != result["head"]


@pytest.mark.slow
def test_invoke_agent_runs_one_stage_and_resume_does_the_rest(project):
    run = "20260102-030405-0a1b2c3d"
    first = project.run("invoke_agent", "rm-planner", "--run-id", run, "--feature", "an idea")
    assert first.returncode == 0, first.stderr
    assert (project.calls("planner"), project.calls("coordinator")) == (1, 0)
    assert project.result(run)["state"] == "interrupted"
    again = project.run("invoke_agent", "planner", "--run-id", run)
    assert (again.returncode, "--retry true" in again.stderr) == (5, True)
    target = project.folder / "copied"
    repeated = project.run(
        "invoke_agent", "planner", "--run-id", run, "--retry", "true", "--output", str(target)
    )
    assert repeated.returncode == 0, repeated.stderr
    assert (target / "plan.md").is_file()
    assert project.run("pipeline", "resume", run).returncode == 0
    assert (project.calls("planner"), project.calls("coordinator")) == (2, 1)
    wrong = project.run("invoke_agent", "plannr", "--run-id", run)
    assert (wrong.returncode, "did you mean 'planner'?" in wrong.stderr) == (2, True)


@pytest.mark.slow
def test_a_failed_stage_is_repeated_and_the_run_goes_on(project):
    project.script("planner", 1, "raise SystemExit(3)")
    assert project.trigger("an idea").returncode == 1
    run = project.run_ids()[0]
    shutil.copytree(project.take("planner") / "outputs", project.take("planner", 2) / "outputs")
    assert project.run("invoke_agent", "planner", "--run-id", run).returncode == 0
    resumed = project.run("pipeline", "resume", run)
    assert resumed.returncode == 0, resumed.stderr
    assert project.result(run)["state"] == "done"


@pytest.mark.slow
def test_two_runs_at_once_for_one_feature_do_not_disturb_each_other(project):
    before = project.fingerprint()
    both = [
        project.start("trigger_workflow", "idea_to_feature", "the same idea", "--json")
        for _ in range(2)
    ]
    results = []
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        results.append(json.loads(out))
    assert len({result["branch"] for result in results}) == 2
    assert len(project.pulls()) == 2
    assert {pull["head_commit"] for pull in project.pulls()} == {
        result["head"] for result in results
    }
    assert project.fingerprint() == before


@pytest.mark.slow
def test_a_held_lock_parks_the_stage_and_names_its_holder(project):
    run = "20260102-030405-0a1b2c3d"
    lock = project.root / ".locks" / f"src_writer.{run}.lock"
    lock.parent.mkdir()
    code = (
        f"from pathlib import Path\nfrom pipeline.files import locks\nimport sys\n"
        f"with locks.hold([Path({str(lock)!r})], run_id='20250101-000000-abcd', "
        "agent='somebody', stage='s', timeout_s=1):\n"
        f"    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [str(BIN / "python"), "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    parked = project.run(
        "trigger_workflow", "idea_to_feature", run, "an idea", AGENT_LOCK_TIMEOUT="0.3"
    )
    held = json.loads(project.run("pipeline", "locks", "--json").stdout)
    assert parked.returncode == 75
    assert "held by somebody of run 20250101-000000-abcd" in parked.stderr
    assert f"pipeline resume {run}" in parked.stderr
    assert [view["name"] for view in held["locks"] if view["held"]] == [f"src_writer.{run}"]
    holder.kill()
    holder.communicate()
    assert project.run("pipeline", "resume", run).returncode == 0, "a dead holder's lock is free"


@pytest.mark.slow
def test_every_target_is_tested_on_the_base_also_after_one_with_known_failures(tmp_path):
    targets = "".join(
        f"  - {{name: {name}, source: [src/**], tests: [{folder}/**], test: python -m pytest -q {folder}}}\n"
        for name, folder in (("first", "tests"), ("second", "more"))
    )
    stages = "workflows: {main: {stages: {a: {run: 'true', gates: [green]}}}}\n"
    bare = Bare(tmp_path, f"version: 1\ntargets:\n{targets}{stages}")
    (bare.root / "tests" / "test_old.py").write_text("def test_old():\n    assert False\n")
    (bare.root / "more").mkdir()
    (bare.root / "more" / "test_more.py").write_text("import nowhere_to_be_found\n")
    bare.commit("Break both")
    done = bare.run("trigger_workflow", "main", "an idea")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "nowhere_to_be_found" in done.stderr
    assert bare.started() == []
