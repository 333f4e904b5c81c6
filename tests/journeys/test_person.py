"""A person in the middle of a run: what they edit becomes theirs in the pull request, and is never
lost.
"""

from pathlib import Path

import pytest

from pipeline.engine.running import edits
from pipeline.files.rundir import RunDir
from tests.helpers.wild import Wild

FLOW = """\
version: 1
targets: [{name: app, source: [src/**], tests: [tests/**], test: python -m pytest -q}]
workflows:
  main:
    stages:
      make: {run: 'echo "# made" >> src/app.py; echo > src/new.py', writes: [src/**]}
      look: {approval: {ask: 'All right?'}, needs: [make]}
      more: {run: 'MORE', needs: [look], writes: ['src/**', 'tests/**']}
      check: {run: 'true', needs: [more], gates: [untampered]}
      out: {publish: {}, needs: [check]}
"""


def waiting(
    folder: Path, more: str = "echo '# more' >> src/more.py", *, remote: bool = True
) -> tuple[Wild, str]:
    """A run that waits for an answer after its first stage."""
    wild = Wild(folder, FLOW.replace("MORE", more.replace("'", "''")))
    wild = wild.with_remote() if remote else wild
    wild.publish(code=3)
    return wild, wild.newest()


def opened(wild: Wild, run: str, *options: str) -> Path:
    done = wild.run("pipeline", "open", run, "--print-path", *options)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def log_of(wild: Wild, head: str) -> list[str]:
    return wild.git("log", "--reverse", "--format=%an: %s", f"main..{head}").splitlines()


def test_what_a_person_edits_becomes_a_commit_of_theirs_at_the_end(tmp_path: Path) -> None:
    wild, run = waiting(tmp_path)
    folder = opened(wild, run)
    assert (folder / "src" / "app.py").read_text().endswith("# made\n")
    assert wild.at(folder, "log", "-1", "--format=%s") == "make, attempt 1"
    assert wild.at(folder, "status", "--porcelain") == ""
    (folder / "src" / "app.py").write_text("def answer():\n    return 41 + 1\n")
    (folder / "tests" / "test_app.py").write_text("def test_nothing():\n    assert True\n")
    (folder / ".github").mkdir()
    (folder / ".github" / "ci.yml").write_text("on: push\n")
    assert opened(wild, run) == folder, "opened again it is left as it is"
    wild.git("config", "user.name", "Ada")
    wild.publish("pipeline", "resume", run, code=3)
    assert not folder.exists()
    assert (folder.with_name("person.1") / "src" / "app.py").exists()
    wild.publish("pipeline", "answer", run, "approve")
    head = wild.published(
        [".github/ci.yml", "src/app.py", "src/more.py", "src/new.py", "tests/test_app.py"]
    )
    assert log_of(wild, head) == ["A Person: feat: an idea", "Ada: edit by Ada"]
    assert wild.git("show", "--name-only", "--format=", head).splitlines() == [
        ".github/ci.yml",
        "src/app.py",
        "tests/test_app.py",
    ]
    assert f"Run-Id: {run}" in wild.git("log", "-1", "--format=%(trailers)", head)


def test_tests_that_a_person_edited_are_untampered_and_those_that_an_agent_edited_after_are_not(
    tmp_path: Path,
) -> None:
    wild, run = waiting(tmp_path, "echo '# agent' >> tests/test_app.py")
    (opened(wild, run) / "tests" / "test_app.py").write_text("def test_mine(): pass\n")
    done = wild.publish("pipeline", "answer", run, "approve", code=3)
    assert "All right?" in done.stdout + done.stderr, "what was approved is another tree now"
    done = wild.publish("pipeline", "answer", run, "approve", code=1)
    assert "tests/test_app.py: changed after the tests were delivered" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["person.committed", "person.recorded"])
def test_killed_while_edits_are_taken_in_they_are_there_once(tmp_path: Path, name: str) -> None:
    wild, run = waiting(tmp_path)
    (opened(wild, run) / "src" / "mine.py").write_text("mine = 1\n")
    wild.publish("pipeline", "resume", run, code=-9, PIPELINE_FAILPOINT=name)
    wild.publish("pipeline", "resume", run, code=3)
    wild.publish("pipeline", "answer", run, "approve")
    assert log_of(wild, wild.published(["src/app.py", "src/mine.py", "src/more.py", "src/new.py"]))[
        1:
    ] == ["A Person: edit by A Person"]
    assert [event["event"] for event in wild.events()].count("person_edited") == 1


@pytest.mark.slow
def test_where_the_run_changed_the_same_file_meanwhile_nobody_is_overwritten(
    tmp_path: Path,
) -> None:
    wild, run = waiting(tmp_path, "echo theirs > src/both.py; echo theirs > src/theirs.py")
    folder = opened(wild, run)
    (folder / "src" / "both.py").write_text("mine\n")
    (folder / "src" / "mine.py").write_text("mine\n")
    folder.rename(tmp_path / "away")
    wild.publish(
        "pipeline", "answer", run, "approve", code=-9, PIPELINE_FAILPOINT="stage.recorded@more"
    )
    (tmp_path / "away").rename(folder)
    done = wild.publish("pipeline", "resume", run, code=2)
    assert "the run changed src/both.py too" in done.stderr
    assert f"pipeline open {run} --mine" in done.stderr
    assert (folder / "src" / "both.py").read_text() == "mine\n"
    assert opened(wild, run, "--mine") == folder
    assert (folder / "src" / "theirs.py").read_text() == "theirs\n"
    wild.publish("pipeline", "resume", run)
    head = wild.published(
        ["src/app.py", "src/both.py", "src/mine.py", "src/new.py", "src/theirs.py"]
    )
    assert wild.git("show", f"{head}:src/both.py") == "mine"


@pytest.mark.slow
def test_edits_wait_for_an_agent_that_still_works_and_then_go_on_top(tmp_path: Path) -> None:
    flow = FLOW.replace(
        "MORE", "while ! test -e $GATE; do sleep 0.05; done; echo agent > src/agent.py"
    )
    flow = flow.replace(
        "needs: [look], writes", f"needs: [look], env: {{GATE: '{tmp_path}/gate'}}, writes"
    )
    wild = Wild(tmp_path, flow)
    wild.publish(code=3)
    run = wild.newest()
    wild.publish(
        "pipeline", "answer", run, "approve", code=-9, PIPELINE_FAILPOINT="stage.launched@more"
    )
    folder = opened(wild, run)
    (folder / "src" / "mine.py").write_text("mine = 1\n")
    process = wild.start("pipeline", "resume", run)
    (tmp_path / "gate").touch()
    process.communicate(timeout=60)
    assert process.returncode == 0
    wild.published(["src/agent.py", "src/app.py", "src/mine.py", "src/new.py"])
    assert wild.started().count("more") == 1


def test_who_verified_the_tree_before_an_edit_looks_again(tmp_path: Path) -> None:
    wild, run = waiting(tmp_path)
    wild.publish(
        "pipeline", "answer", run, "approve", code=-9, PIPELINE_FAILPOINT="stage.recorded@check"
    )
    (opened(wild, run) / "src" / "mine.py").write_text("mine = 1\n")
    wild.publish("pipeline", "resume", run)
    wild.published(["src/app.py", "src/mine.py", "src/more.py", "src/new.py"])
    assert wild.started().count("check") == 2
    assert wild.started().count("more") == 1


@pytest.mark.slow
def test_a_published_run_says_where_to_edit_instead(tmp_path: Path) -> None:
    wild, run = waiting(tmp_path)
    folder = opened(wild, run)
    wild.publish("pipeline", "answer", run, "approve")
    done = wild.run("pipeline", "open", run)
    assert (done.returncode, f"git switch {wild.result()['branch']}" in done.stderr) == (2, True)
    (folder / "src" / "late.py").write_text("late = 1\n")
    done = wild.publish("pipeline", "resume", run, code=2)
    assert "came too late" in done.stderr
    done = wild.publish("pipeline", "rollback", run, untouched=False)
    assert list((tmp_path / "state").glob(f"repos/*/rescued/{run}/person.patch"))


@pytest.mark.parametrize("remote", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_what_people_push_to_the_runs_branch_stays(tmp_path: Path, remote: bool) -> None:
    wild, run = waiting(tmp_path, remote=remote)
    wild.publish(
        "pipeline",
        "answer",
        run,
        "approve",
        code=-9,
        PIPELINE_FAILPOINT="push.done" if remote else "branch.set",
    )
    branch = wild.git("for-each-ref", "--format=%(refname:short)", "refs/heads/feature")
    wild.git("worktree", "add", "--quiet", str(tmp_path / "side"), branch)
    (tmp_path / "side" / "src" / "person.py").write_text("mine = 1\n")
    wild.at(tmp_path / "side", "add", ".")
    wild.at(tmp_path / "side", "commit", "--quiet", "-m", "Mine")
    mine = wild.at(tmp_path / "side", "rev-parse", "HEAD")
    if remote:
        wild.at(tmp_path / "side", "push", "--quiet", "origin", branch)
        wild.git("worktree", "remove", str(tmp_path / "side"))
        wild.git("branch", "-D", branch)
    done = wild.run("pipeline", "resume", run)
    assert done.returncode == 0, done.stderr
    assert "1 commit that this run did not make" in done.stderr
    there = wild.at(wild.remote, "rev-parse", branch) if remote else wild.git("rev-parse", branch)
    assert there == mine
    wild.run("pipeline", "rollback", run)
    there = wild.at(wild.remote, "rev-parse", branch) if remote else wild.git("rev-parse", branch)
    assert there == mine


def test_two_runs_have_folders_of_their_own_for_persons(tmp_path: Path) -> None:
    one, other = (
        edits.edit_folder(RunDir(tmp_path, tmp_path / "state", name)) for name in ("a", "b")
    )
    assert one != other
