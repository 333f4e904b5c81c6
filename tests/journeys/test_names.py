"""Short names for runs and pull requests: the newest, a beginning, none at all."""

import pytest

from tests.helpers.bare import Bare

FLOW = """\
version: 1
targets: [{name: app, source: [src/**], tests: [tests/**], test: python -m pytest -q}]
workflows:
  main:
    stages:
      make: {run: 'echo "x = $PIPELINE_RUN_ID" | tr -d - > src/new.py', writes: [src/**]}
      check: {run: "true", needs: [make], gates: [green]}
      commit: {publish: {draft: true}, needs: [check]}
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    made = Bare(tmp_path_factory.mktemp("names"), FLOW)
    for idea in ("first", "second"):
        done = made.run("trigger_workflow", "main", idea)
        assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize("command", ["show", "logs", "explain", "status"])
@pytest.mark.parametrize("word", ["", "latest", "id"])
def test_a_run_is_the_newest_where_none_is_named(bare, command, word):
    first, newest = bare.run_ids()
    words = [newest[:-3]] if word == "id" else [word] if word else []
    shown = bare.run("pipeline", command, *words)
    assert shown.returncode == 0, shown.stderr
    assert newest in shown.stdout + shown.stderr
    if command != "status" or words:
        assert first not in shown.stdout


def test_a_beginning_that_several_runs_have_is_refused(bare):
    done = bare.run("pipeline", "show", bare.run_ids()[0][:4])
    assert done.returncode == 2
    assert "2 runs begin with" in done.stderr


def test_pull_requests_are_shown_in_short_and_closed(bare):
    assert "src/new.py" in bare.run("pipeline", "pr", "diff", "--stat").stdout
    assert "second" in bare.run("pipeline", "pr", "show").stdout
    assert bare.run("pipeline", "pr", "close", "1").returncode == 0
    again = bare.run("pipeline", "pr", "close", "1")
    assert (again.returncode, "is closed" in again.stderr) == (5, True)


def test_the_folder_to_work_in_can_be_named_before_the_command(bare):
    done = bare.run("pipeline", "-C", str(bare.root), "list")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3


def test_what_an_error_code_means_is_told_outside_of_a_repository(bare, tmp_path):
    done = bare.run("pipeline", "-C", str(tmp_path), "explain", "F201")
    assert done.returncode == 0, done.stderr
    assert "F201" in done.stdout


def test_watching_ends_when_nobody_works_on_the_run(bare):
    assert "done" in bare.run("pipeline", "status", "--watch").stdout
    followed = bare.run("pipeline", "logs", "-f").stdout
    assert "run done" in followed


def test_the_workflows_are_listed_with_what_they_are_for(bare):
    assert "main" in bare.run("trigger_workflow", "--list").stdout
    missing = bare.run("trigger_workflow")
    assert missing.returncode == 2
    assert "which workflow? there are main" in missing.stderr
