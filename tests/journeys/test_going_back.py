"""Going back in a run: retry, fork, what has changed since, cancelling one stage, answers while it
runs.
"""

import json
import signal
from pathlib import Path

import pytest

from tests.helpers.bare import Bare
from tests.helpers.project import kill, wait_for

HEAD = """\
version: 1
targets: [{name: app, source: [src/**], tests: [tests/**], test: python -m pytest -q}]
defaults: {command: [sh, agent.sh]}
agents: {maker: {prompt: plain.md.j2}, other: {prompt: other.md.j2}}
locks: {src_writer: {paths: "{{ source }}"}}
workflows:
  main:
    stages:
"""
CHAIN = """\
      plan: {run: 'echo "plan $PIPELINE_ATTEMPT" > "$PIPELINE_OUTPUT_DIR/plan.md"', outputs: {plan: plan.md}}
      one: {agent: maker, needs: [plan], lock: src_writer, env: {DO: "echo one >> src/one.py"}}
      two: {agent: other, needs: [one], lock: src_writer, env: {DO: "echo two >> src/two.py; cat src/one.py"}}
      beside: {run: "echo beside >> docs/beside.md", needs: [plan], writes: [docs/**]}
      last: {run: "test -f src/two.py", needs: [two, beside]}
"""


def bare_of(folder: Path, stages: str) -> Bare:
    bare = Bare(folder, HEAD + stages)
    (bare.root / "docs").mkdir()
    (bare.root / "docs" / "old.md").write_text("old\n")
    (bare.root / "agent_prompts" / "other.md.j2").write_text("Do the other: {{ idea }}\n")
    bare.commit("Add prompts")
    return bare


def trigger(bare: Bare, code: int = 0) -> str:
    done = bare.run("trigger_workflow", "main", "an idea")
    assert done.returncode == code, done.stdout + done.stderr
    return bare.newest()


def show(bare: Bare, path: str) -> str:
    """A file of the run's newest tree, taken from its workspace's store."""
    result = bare.result()
    events = [event for event in bare.events() if event.get("commit")]
    store = next((bare.root.parent / "state" / "repos").glob("*/store.git"))
    return (
        bare.git("--git-dir", str(store), "show", f"{events[-1]['commit']}:{path}")
        if result
        else ""
    )


def test_retry_runs_a_stage_and_what_builds_on_it_again_and_nothing_else(tmp_path: Path) -> None:
    bare = bare_of(tmp_path, CHAIN)
    run = trigger(bare)
    done = bare.run("pipeline", "retry", run, "one")
    assert done.returncode == 0, done.stderr
    assert bare.started() == [*bare.started()[:5], "one", "two", "last"]
    assert show(bare, "src/one.py") == "one"
    assert show(bare, "src/two.py") == "two"
    assert show(bare, "docs/beside.md") == "beside"


def test_retry_of_a_failed_stage_goes_on_from_there(tmp_path: Path) -> None:
    stages = CHAIN.replace(
        'run: "test -f src/two.py"', """run: 'test "$PIPELINE_ATTEMPT" = 2', retry: {max: 0}"""
    )
    bare = bare_of(tmp_path, stages)
    run = trigger(bare, 1)
    over = bare.run("pipeline", "resume", run)
    assert over.returncode == 5
    assert f"pipeline retry {run} last" in over.stderr
    assert bare.run("pipeline", "retry", run, "last").returncode == 0
    assert bare.started().count("last") == 2
    assert bare.started().count("one") == 1
    assert bare.result()["state"] == "done"


@pytest.mark.slow
def test_retry_names_the_failure_that_stands_in_the_way(tmp_path: Path) -> None:
    bare = bare_of(tmp_path, CHAIN.replace("cat src/one.py", "exit 3"))
    run = trigger(bare, 1)
    done = bare.run("pipeline", "retry", run, "beside")
    assert done.returncode == 2
    assert "two failed and would end the run again" in done.stderr
    assert f"pipeline retry {run} two" in done.stderr


@pytest.mark.slow
def test_a_published_run_is_forked_not_written_again(tmp_path: Path) -> None:
    bare = bare_of(tmp_path, CHAIN + "      out: {publish: {}, needs: [last]}\n")
    run = trigger(bare)
    branch = bare.result()["branch"]
    head = bare.git("rev-parse", branch)
    done = bare.run("pipeline", "retry", run, "one")
    assert done.returncode == 2
    assert f"pipeline fork {run} --from one" in done.stderr
    forked = bare.run("pipeline", "fork", run, "--from", "two")
    assert forked.returncode == 0, forked.stderr
    assert bare.newest() != run
    assert bare.started() == ["two", "last", "out"]
    result = bare.result()
    assert result["branch"] not in {"", branch}
    assert bare.git("rev-parse", branch) == head
    assert bare.changed() == ["docs/beside.md", "src/one.py", "src/two.py"]
    assert result["stages"]["one"]["state"] == "done"
    assert bare.git("show", f"{result['branch']}:src/two.py") == "two"
    request = bare.root / "docs" / "status" / "runs" / bare.newest() / "feature_request.md"
    assert f"run: {bare.newest()}" in request.read_text()


@pytest.mark.slow
def test_a_fork_pays_nothing_for_what_it_inherits(tmp_path: Path) -> None:
    cost = """echo '{\\"status\\":\\"done\\",\\"cost_usd\\":1.5}' > $PIPELINE_RESULT"""
    bare = bare_of(
        tmp_path, CHAIN.replace("echo one >> src/one.py", f"echo one >> src/one.py; {cost}")
    )
    run = trigger(bare)
    assert bare.result()["cost_usd"] == 1.5
    assert bare.run("pipeline", "fork", run, "--from", "two").returncode == 0
    assert bare.result()["cost_usd"] is None


def test_an_output_that_was_edited_makes_what_was_built_on_it_run_again(tmp_path: Path) -> None:
    bare = bare_of(tmp_path, CHAIN.replace("test -f src/two.py", "exit 1"))
    run = trigger(bare, 1)
    accepted = next((tmp_path / "state").glob(f"repos/*/runs/{run}/accepted/plan/plan.md"))
    accepted.write_text("another plan\n")
    done = bare.run("pipeline", "resume", run)
    assert "what it was given changed since" in done.stderr
    assert bare.started()[5:] == ["one", "beside", "two", "last"]


@pytest.mark.slow
def test_a_new_prompt_is_taken_up_only_when_asked_and_then_not_silently(tmp_path: Path) -> None:
    bare = bare_of(tmp_path, CHAIN.replace("test -f src/two.py", "exit 1"))
    run = trigger(bare, 1)
    (bare.root / "agent_prompts" / "other.md.j2").write_text("Do the other better: {{ idea }}\n")
    assert bare.run("pipeline", "resume", run).returncode == 5
    done = bare.run("pipeline", "resume", run, "--reload")
    assert done.returncode == 1
    assert "two: its prompt changed since" in done.stderr
    assert bare.started()[5:] == ["two", "last"]


def test_a_stage_that_is_gone_from_the_flow_is_named(tmp_path: Path) -> None:
    bare = bare_of(tmp_path, CHAIN.replace("test -f src/two.py", "exit 1"))
    run = trigger(bare, 1)
    flow = bare.root / "agents" / "flow.yaml"
    flow.write_text(
        flow.read_text().replace("beside:", "aside:").replace("[two, beside]", "[two, aside]")
    )
    done = bare.run("pipeline", "resume", run, "--reload")
    assert done.returncode == 2
    assert "the flow has no stage 'beside' any more" in done.stderr
    assert f"pipeline fork {run} --from STAGE --reload" in done.stderr
    forked = bare.run("pipeline", "fork", run, "--from", "two", "--reload")
    assert forked.returncode == 1
    assert bare.started() == ["two", "aside", "last"]
    assert show(bare, "src/one.py") == "one"


@pytest.mark.parametrize(
    ("after", "state", "code"), [("", "failed", 1), (", on_failure: continue", "done", 0)]
)
def test_one_stage_is_cancelled_while_it_runs(
    tmp_path: Path, after: str, state: str, code: int
) -> None:
    bare = bare_of(
        tmp_path,
        f"      long: {{run: sleep 60{after}}}\n      last: {{run: 'true', needs: [long]}}\n",
    )
    process = bare.start("trigger_workflow", "main", "an idea")
    wait_for(lambda: bool(bare.run_ids()) and "long" in bare.started(), "long is started")
    done = bare.run("pipeline", "cancel", bare.newest(), "long", "-m", "too long")
    assert done.returncode == 0, done.stderr
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    result = bare.result()
    assert result["state"] == state
    assert (result["stages"]["long"]["state"], result["stages"]["long"]["reason"]) == (
        "cancelled",
        "too long",
    )


def test_an_answer_is_taken_in_while_other_stages_run(tmp_path: Path) -> None:
    stages = """\
      plan: {run: 'true'}
      sign_off: {approval: "Well?", needs: [plan]}
      after: {run: touch "$MARK", needs: [sign_off], env: {MARK: "%s"}}
      slow: {run: 'while [ ! -e "$MARK" ]; do sleep 0.05; done', needs: [plan], env: {MARK: "%s"}}
"""
    mark = tmp_path / "mark"
    bare = bare_of(tmp_path, stages % (mark, mark))
    process = bare.start("trigger_workflow", "main", "an idea")
    asked = "approval_asked"
    wait_for(
        lambda: bool(bare.run_ids()) and asked in {event["event"] for event in bare.events()},
        "it asks",
    )
    done = bare.run("pipeline", "answer", bare.newest(), "approve")
    assert done.returncode == 0, done.stderr
    assert "handed to process" in done.stderr
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err


def test_an_answer_for_files_that_have_changed_since_does_not_count(tmp_path: Path) -> None:
    stages = """\
      plan: {run: 'true'}
      sign_off: {approval: {ask: "Well?", show: [diff]}, needs: [plan]}
      writer: {run: 'while [ ! -e "$MARK" ]; do sleep 0.05; done; echo x > src/x.py', lock: src_writer, env: {MARK: "%s"}}
"""
    mark = tmp_path / "mark"
    bare = bare_of(tmp_path, stages % mark)
    process = bare.start("trigger_workflow", "main", "an idea")
    asked = "approval_asked"
    wait_for(
        lambda: bool(bare.run_ids()) and asked in {event["event"] for event in bare.events()},
        "it asks",
    )
    run, old = bare.newest(), next(event for event in bare.events() if event["event"] == asked)
    mark.touch()
    process.communicate(timeout=60)
    assert process.returncode == 3
    questions = [event for event in bare.events() if event["event"] == asked]
    assert len(questions) == 2
    assert questions[0].get("tree", "") != questions[1]["tree"]
    late = {
        "event": "answered",
        "at": old["at"],
        "stage": "sign_off",
        "answer": "approve",
        "tree": old.get("tree", ""),
    }
    requests = next((tmp_path / "state").glob(f"repos/*/runs/{run}")) / "requests"
    requests.mkdir(exist_ok=True)
    (requests / "late.json").write_text(json.dumps(late))
    assert bare.run("pipeline", "resume", run).returncode == 3
    assert bare.run("pipeline", "answer", run, "approve").returncode == 0


def test_what_builds_on_a_revised_stage_is_ended_and_runs_again_with_it(tmp_path: Path) -> None:
    stages = """\
      plan: {run: 'true'}
      sign_off: {approval: "Well?", needs: [plan]}
      builds: {run: 'test "$PIPELINE_ATTEMPT" = 2 || sleep 60', needs: [plan]}
      last: {run: 'true', needs: [sign_off, builds]}
"""
    bare = bare_of(tmp_path, stages)
    process = bare.start("trigger_workflow", "main", "an idea")
    wait_for(lambda: bool(bare.run_ids()) and "builds" in bare.started(), "builds is started")
    wait_for(lambda: "approval_asked" in {event["event"] for event in bare.events()}, "it asks")
    done = bare.run("pipeline", "answer", bare.newest(), "revise", "-m", "smaller")
    assert "handed to process" in done.stderr
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, out + err
    assert bare.started() == ["plan", "builds", "plan", "builds"]
    assert bare.run("pipeline", "answer", bare.newest(), "approve").returncode == 0
    assert bare.started() == ["plan", "builds", "plan", "builds", "last"]


@pytest.mark.slow
def test_killed_while_a_person_is_asked_the_question_is_there_again(tmp_path: Path) -> None:
    stages = """\
      plan: {run: 'true'}
      sign_off: {approval: "Well?", needs: [plan]}
      slow: {run: sleep 60, needs: [plan], on_failure: continue, retry: {max: 0, lost: 0}}
      last: {run: 'true', needs: [sign_off]}
"""
    bare = bare_of(tmp_path, stages)
    process = bare.start("trigger_workflow", "main", "an idea")
    wait_for(lambda: bool(bare.run_ids()) and "slow" in bare.started(), "slow is started")
    wait_for(lambda: "approval_asked" in {event["event"] for event in bare.events()}, "it asks")
    kill(process)
    run = bare.newest()
    assert bare.run("pipeline", "cancel", run, "slow").returncode == 0
    done = bare.run("pipeline", "answer", run, "approve")
    assert done.returncode == 0, done.stdout + done.stderr
    assert bare.result()["stages"]["last"]["state"] == "done"


@pytest.mark.parametrize("whole", [False, True])
def test_a_cancel_ends_what_a_killed_process_has_left_running(tmp_path: Path, whole: bool) -> None:
    bare = bare_of(
        tmp_path,
        "      slow: {run: 'sleep 1000', idle_timeout: 1h, timeout: 1h, retry: {max: 0, lost: 0}}\n",
    )
    process = bare.start("trigger_workflow", "main", "an idea")
    wait_for(lambda: bool(bare.run_ids()) and "slow" in bare.started(), "slow is started")
    wait_for(lambda: any("sleep 1000" in line for line in bare.survivors()), "it sleeps")
    kill(process)
    resumed = bare.start("pipeline", "resume", bare.newest())
    wait_for(
        lambda: [event["event"] for event in bare.events()].count("run_opened") == 2,
        "it is taken up again",
    )
    done = bare.run("pipeline", "cancel", bare.newest(), *([] if whole else ["slow"]))
    assert done.returncode == 0, done.stderr
    resumed.communicate(timeout=60)
    assert resumed.returncode == (130 if whole else 1)
    assert bare.survivors() == []


@pytest.mark.slow
def test_the_time_that_a_run_may_be_worked_on_ends_it_resumable(tmp_path: Path) -> None:
    bare = bare_of(
        tmp_path,
        '      slow: {run: \'test -e "$MARK" || sleep 60\', env: {MARK: "%s"}}\n'
        % (tmp_path / "mark"),
    )
    flow = bare.root / "agents" / "flow.yaml"
    flow.write_text(flow.read_text() + "limits: {wall: 500ms}\n")
    bare.commit("Limit the time")
    run = trigger(bare, 3)
    assert bare.survivors() == []
    (tmp_path / "mark").touch()
    assert bare.run("pipeline", "resume", run).returncode == 3
    done = bare.run("pipeline", "resume", run, "--wall", "1h")
    assert done.returncode == 0, done.stderr


def test_a_polite_stop_leaves_a_running_stage_to_finish_and_no_new_one_begins(
    tmp_path: Path,
) -> None:
    bare = bare_of(tmp_path, "      a: {run: sleep 1}\n      b: {run: 'true', needs: [a]}\n")
    process = bare.start("trigger_workflow", "main", "an idea")
    wait_for(lambda: bool(bare.run_ids()) and "a" in bare.started(), "a is started")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert bare.started() == ["a"]
    assert bare.run("pipeline", "resume", bare.newest()).returncode == 0
    assert bare.started() == ["a", "b"]


@pytest.mark.slow
def test_a_revision_while_the_process_works_keeps_what_that_process_has_made(
    tmp_path: Path,
) -> None:
    gate = tmp_path / "gate"
    stages = f"""\
      one: {{run: 'echo one > src/one.py', writes: [src/one.py]}}
      two: {{run: 'echo two > src/two.py', writes: [src/two.py], needs: [one]}}
      look: {{approval: {{ask: 'All right?'}}, needs: [two]}}
      slow: {{run: 'while ! test -e {gate}; do sleep 0.02; done'}}
      out: {{publish: {{}}, needs: [look, slow]}}
"""
    bare = bare_of(tmp_path, stages)
    process = bare.start("trigger_workflow", "main", "an idea")
    wait_for(lambda: bare.newest() != "" and "approval_asked" in str(bare.events()), "the question")
    done = bare.run("pipeline", "answer", bare.newest(), "revise", "-m", "again", "--later")
    assert "handed to process" in done.stderr
    wait_for(lambda: str(bare.events()).count("'approval_asked'") == 2, "the question again")
    bare.run("pipeline", "answer", bare.newest(), "approve", "--later")
    gate.touch()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert bare.changed() == ["src/one.py", "src/two.py"]
