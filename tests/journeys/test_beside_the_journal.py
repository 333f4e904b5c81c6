"""What lies beside a run's journal is damaged, deleted, moved or started twice: nothing is lost and
nothing doubled.
"""

import json
import shutil

import pytest

from tests.helpers.bare import Bare
from tests.helpers.project import Project, kill, wait_for

ID = "20260102-030405-0a1b2c3d"
FLOW = """\
version: 1
workflows:
  main:
    inputs: {idea: {required: false}}
    stages:
      a: {run: "echo one > a.txt; while [ -e ../hold ]; do sleep 0.05; done", writes: [a.txt]}
      b: {run: "echo two > b.txt", writes: [b.txt], needs: [a]}
      out: {publish: {}, needs: [b]}
"""


@pytest.fixture
def bare(tmp_path):
    return Bare(tmp_path, FLOW)


def held(bare):
    """Let the first stage wait as long as the returned file is there."""
    bare.env["HOLD"] = "1"
    hold = bare.root.parent / "hold"
    hold.touch()
    text = (bare.root / "agents" / "flow.yaml").read_text().replace("../hold", str(hold))
    (bare.root / "agents" / "flow.yaml").write_text(text)
    bare.commit("Hold")
    return hold


def is_running(bare, stage="a"):
    return any(
        event["event"] == "stage_started" and event["stage"] == stage
        for run in bare.run_ids()
        for event in bare.events(run)
    )


def codes(*processes):
    for process in processes:
        process.communicate(timeout=60)
    return sorted(process.returncode for process in processes)


def test_two_starts_at_once_with_one_new_id_make_one_run(bare):
    for number in range(3):
        run = f"20260102-03040{number}-0a1b2c3d"
        both = [bare.start("trigger_workflow", "main", run, "feature") for _ in range(3)]
        assert set(codes(*both)) <= {0, 5, 75}
        kinds = [event["event"] for event in bare.events(run)]
        assert kinds.count("run_started") == 1
        stages = [event["stage"] for event in bare.events(run) if event["event"] == "stage_started"]
        assert stages == ["a", "b", "out"]


def test_the_second_of_two_starts_names_the_first(bare):
    hold = held(bare)
    first = bare.start("trigger_workflow", "main", ID, "feature")
    wait_for(lambda: is_running(bare), "the first stage")
    second = bare.run("trigger_workflow", "main", ID, "feature")
    assert second.returncode == 75
    assert f"(process {first.pid}" in second.stderr
    hold.unlink()
    assert codes(first) == [0]


@pytest.mark.slow
def test_a_lock_file_deleted_by_hand_lets_nobody_in(bare):
    hold = held(bare)
    first = bare.start("trigger_workflow", "main", ID, "feature")
    wait_for(lambda: is_running(bare), "the first stage")
    shutil.rmtree(bare.root / ".locks")
    second = bare.run("pipeline", "resume", ID)
    assert second.returncode == 75
    assert f"(process {first.pid}" in second.stderr
    hold.unlink()
    assert codes(first) == [0]
    assert bare.started() == ["a", "b", "out"]


@pytest.mark.parametrize("when", ["while it works", "while it rests"])
def test_git_clean_takes_nothing_from_a_run(bare, when):
    hold = held(bare)
    first = bare.start("trigger_workflow", "main", ID, "feature")
    wait_for(lambda: is_running(bare), "the first stage")
    if when == "while it rests":
        kill(first)
    bare.git("clean", "-ffdxq")
    assert not (bare.root / "docs" / "status").exists()
    hold.unlink()
    if when == "while it works":
        assert codes(first) == [0]
    assert ID in bare.run("pipeline", "list").stdout
    again = bare.run("trigger_workflow", "main", ID, "feature")
    assert again.returncode == (5 if when == "while it works" else 0), again.stderr
    assert bare.started() == [*(["a"] if when == "while it rests" else []), "a", "b", "out"]
    folder = bare.root / "docs" / "status" / "runs" / ID
    log = (folder / "pipeline.log").read_text()
    assert log.count("a: started (attempt 1)") == log.count("run done") == 1
    assert "feature" in (folder / "feature_request.md").read_text()
    assert ("was removed while the run went on" in log) == (when == "while it works")
    assert bare.git("status", "--porcelain", "--ignored=no") == ""
    assert len(bare.git("branch", "--list", "feature/*").splitlines()) == 1


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x20
    path.write_bytes(bytes(data))


def test_one_damaged_journal_is_one_line_and_keeps_nobody_from_working(bare):
    assert bare.run("trigger_workflow", "main", ID, "old").returncode == 0
    damage(bare.root / "docs" / "status" / "runs" / ID / "journal.jsonl")
    assert bare.run("trigger_workflow", "main", "--feature", "new").returncode == 0
    listed = bare.run("pipeline", "list")
    (line,) = [line for line in listed.stdout.splitlines() if ID in line]
    assert "unreadable" in line
    assert "is damaged at byte" in line
    (bad,) = json.loads(bare.run("pipeline", "list", "--json").stdout)["unreadable"]
    assert bad["run_id"] == ID
    assert bare.run("pipeline", "status").returncode == 0
    shown = bare.run("pipeline", "show", ID)
    assert shown.returncode == 101
    assert "truncate" not in shown.stderr
    assert f"rollback {ID}" in shown.stderr or "pipeline rollback RUN" in shown.stderr
    assert bare.run("pipeline", "clean", "--older-than", "0s").returncode == 0
    assert bare.run("pipeline", "rollback", ID).returncode == 0
    assert ID not in bare.run("pipeline", "list").stdout
    assert bare.git("branch", "--list", f"feature/*{ID}") == ""


def test_a_moved_checkout_is_recognised(bare):
    assert bare.run("trigger_workflow", "main", ID, "old").returncode == 0
    bare.root = bare.root.rename(bare.root.with_name("elsewhere"))
    assert "done" in bare.run("pipeline", "show", ID).stdout
    assert bare.run("pipeline", "fork", ID, "--from", "b").returncode == 0
    assert bare.run("pipeline", "rollback", ID).returncode == 0


@pytest.mark.slow
def test_a_copy_of_a_checkout_takes_nothing_from_the_original(bare):
    assert bare.run("trigger_workflow", "main", ID, "old").returncode == 0
    original, copy = bare.root, bare.root.with_name("copy")
    shutil.copytree(original, copy, symlinks=True)
    bare.root = copy
    assert ID in bare.run("pipeline", "list").stdout
    refused = bare.run("pipeline", "rollback", ID)
    assert refused.returncode == 2
    assert f"belongs to the checkout {original}" in refused.stderr
    bare.root = original
    assert bare.run("pipeline", "fork", ID, "--from", "b").returncode == 0


@pytest.mark.slow
def test_with_another_state_folder_a_run_is_shown_and_says_where_its_state_lies(bare):
    assert bare.run("trigger_workflow", "main", ID, "old").returncode == 0
    other = {"PIPELINE_STATE_DIR": str(bare.root.parent / "other")}
    assert ID in bare.run("pipeline", "list", **other).stdout
    assert bare.run("pipeline", "show", ID, **other).returncode == 0
    refused = bare.run("pipeline", "retry", ID, "b", **other)
    assert refused.returncode == 2
    assert f"PIPELINE_STATE_DIR={bare.root.parent / 'state'}" in refused.stderr
    assert bare.run("pipeline", "clean", "--older-than", "0s", **other).returncode == 0
    assert (bare.root / "docs" / "status" / "runs" / ID).is_dir()
    done = bare.run("pipeline", "rollback", ID, **other)
    assert done.returncode == 0, done.stderr
    assert ID not in bare.run("pipeline", "list").stdout
    assert not list((bare.root.parent / "state").glob(f"repos/*/runs/{ID}"))


def test_a_run_whose_state_is_gone_is_shown_and_can_be_rolled_back(bare):
    assert bare.run("trigger_workflow", "main", ID, "old").returncode == 0
    shutil.rmtree(bare.root.parent / "state")
    assert ID in bare.run("pipeline", "list").stdout
    refused = bare.run("pipeline", "retry", ID, "b")
    assert refused.returncode == 2
    assert f"pipeline rollback {ID}" in refused.stderr
    assert bare.run("pipeline", "rollback", ID).returncode == 0
    assert bare.git("branch", "--list", "feature/*") == ""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["on the remote", "in the checkout"])
def test_a_pull_request_with_commits_of_a_person_is_left(tmp_path, where):
    project = Project(tmp_path / "p")
    assert project.trigger().returncode == 0
    branch = project.result()["branch"]
    project.git("switch", "--quiet", branch)
    (project.root / "mine.txt").write_text("mine\n")
    project.git("add", "mine.txt")
    project.git("commit", "--quiet", "-m", "Mine")
    if where == "on the remote":
        project.git("push", "--quiet", "origin", branch)
    project.git("switch", "--quiet", "main")
    done = project.run("pipeline", "rollback", project.run_ids()[0])
    assert done.returncode == 0
    assert "left pull request 1: its branch has commits of somebody else" in done.stderr
    assert [pull["state"] for pull in project.pulls()] == ["open"]
    assert f"refs/heads/{branch}" in project.remote_refs()


ORDERS = """\
version: 1
workflows:
  main:
    inputs: {idea: {required: false}}
    stages:
      both:
        parallel:
          left: {run: "mkdir -p l; i=0; while [ $i -lt 3000 ]; do echo $i > l/$i; i=$((i+1)); done", writes: ["l/**"]}
          right: {run: "while ! [ -e GO ]; do sleep 0.05; done; echo right > r.txt", writes: [r.txt]}
"""


@pytest.mark.slow
def test_a_commit_that_was_not_recorded_gives_way_when_another_stage_comes_first(tmp_path):
    bare = Bare(tmp_path, ORDERS.replace("GO", str(tmp_path / "go")))
    killed = bare.run("trigger_workflow", "main", ID, "f", PIPELINE_FAILPOINT="stage.ref_set@left")
    assert killed.returncode == -9
    (tmp_path / "go").touch()
    record = "state/repos/*/runs/*/attempts/right/1/exit.json"
    wait_for(lambda: bool(list(tmp_path.glob(record))), "the end of the other stage")
    done = bare.run("pipeline", "resume", ID)
    assert done.returncode == 0, done.stderr
    ends = [one["stage"] for one in bare.events() if one["event"] == "stage_finished"]
    assert ends[:2] == ["right", "left"], "the other one was not first: this shows nothing"
    assert bare.started() == ["left", "right"]
