"""What an attempt came to is recorded whole: its times, its reasons, what it broke, what it may cost."""

import os
import stat

import pytest

from pipeline.core.events import StageFinished, StageStarted
from pipeline.core.outcomes import Outcome, RunEnd, StopReason
from pipeline.core.violations import ViolationKind
from pipeline.engine.looking.describe import describe
from pipeline.engine.looking.result import load_result
from pipeline.files import journal
from pipeline.language.flow import FailureKind
from pipeline.process.spec import STDOUT
from tests.helpers.inside import AGENTS, Inside, agent, reports

SECRET = "hush-hush-hush-42"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Makes a repository with a flow of these stages."""
    return lambda *stages, more=AGENTS, target="": Inside(
        tmp_path, monkeypatch, "".join(stages), more, target
    )


def finished(inside, run, stage="a"):
    """How the attempts of a stage ended, in order."""
    events = inside.heard.events[run]
    return [one for one in events if isinstance(one, StageFinished) and one.stage == stage]


def worked(inside):
    run = inside.start()
    return run, inside.work(run)


def prompt(inside, run, attempt, stage="a"):
    return (inside.world.rundir(run).attempt(stage, attempt) / "prompt.md").read_text()


def test_a_quota_is_waited_for_as_long_as_the_agent_says(made):
    quota = reports(status="quota", retry_after_s=1000)
    inside = made(agent("a", quota, retry={"quota": 0}))
    run, state = worked(inside)
    (one,) = finished(inside, run)
    assert (one.outcome, one.kind) == (Outcome.PARKED, FailureKind.QUOTA)
    assert one.retry_after is not None
    assert abs((one.retry_after - one.at).total_seconds() - 1000) < 60
    assert state.stop is StopReason.QUOTA_USED_UP


def test_the_next_attempt_is_told_what_was_wrong_with_the_last(made):
    wrong = 'test "$PIPELINE_ATTEMPT" = 2 || { echo x >> agent.sh; echo y = 1 >> src/app.py; }'
    again = {"max": 1, "on": ["violation"]}
    inside = made(agent("a", wrong, writes=["src/**"], retry=again))
    run, state = worked(inside)
    assert state.end is RunEnd.DONE
    assert "agent.sh: outside" not in prompt(inside, run, 1)
    assert "agent.sh: outside the paths of this stage (src/**)" in prompt(inside, run, 2)
    assert inside.world.store().read(state.product.tree, "src/app.py").endswith(b"y = 1\n"), (
        "the lawful part is kept"
    )


def test_an_attempt_that_wrote_where_it_may_not_fails_and_its_change_is_no_part_of_the_run(made):
    does = "echo x >> agent.sh"
    inside = made(agent("a", does, writes=["src/**"], retry={"max": 0}))
    run, state = worked(inside)
    (one,) = finished(inside, run)
    assert (one.outcome, one.kind) == (Outcome.FAILED, FailureKind.VIOLATION)
    assert [(each.kind, each.path) for each in one.violations] == [
        (ViolationKind.OUTSIDE_ITS_PATHS, "agent.sh")
    ]
    assert (one.commit, state.product.tree) == ("", "")
    patches = inside.world.rundir(run).folder / "patches"
    assert [path.name for path in patches.iterdir()] == ["a.1.rejected.patch"]


def test_new_files_elsewhere_are_dropped_and_named_and_break_no_rule(made):
    does = "echo x = 1 >> src/app.py; echo x > coverage.xml; mkdir build; echo x > build/out"
    inside = made(agent("a", does, writes=["src/**"]))
    run, state = worked(inside)
    (one,) = finished(inside, run)
    assert (one.outcome, one.dropped) == (Outcome.DONE, ("build/out", "coverage.xml"))
    assert "left out: build/out, coverage.xml" in describe(one)
    assert [change.path for change in inside.world.store().diff(one.tree, state.started.base)] == [
        "src/app.py"
    ]


def test_new_files_that_git_ignores_are_named_with_the_rule(made):
    does = "mkdir -p src/lib; echo x = 1 > src/lib/y.py; exit 1"
    again = {"max": 1, "on": ["agent"]}
    inside = made(agent("a", does, writes=["src/**"], retry=again))
    (inside.bare.root / ".gitignore").write_text("lib/\n")
    inside.bare.commit("ignore it")
    run, _ = worked(inside)
    one, _ = finished(inside, run)
    said = "src/lib/y.py: ignored by git (.gitignore:1: lib/)"
    assert one.ignored == (said,)
    assert said in prompt(inside, run, 2)


def test_the_next_round_has_the_whole_log_and_the_change_that_was_refused(made):
    does = (
        'if test -e "$PIPELINE_INPUT_DIR/last_round/gates.log"; then echo "x = 1" > src/new.py; '
        'cp "$PIPELINE_INPUT_DIR"/last_round/* "$PIPELINE_OUTPUT_DIR"; '
        'else echo "import nowhere_at_all" > src/new.py; fi'
    )
    again = {"max": 1, "on": ["gate"]}
    stage = agent("a", does, writes=["src/**"], gates=["checks"], retry=again)
    inside = made(stage, target='checks: ["! test -e src/new.py || python src/new.py"]')
    run, state = worked(inside)
    assert state.end is RunEnd.DONE
    accepted = inside.world.rundir(run).accepted("a")
    assert "No module named 'nowhere_at_all'" in (accepted / "gates.log").read_text()
    assert "+import nowhere_at_all" in (accepted / "change.diff").read_text()


def test_what_was_accepted_is_kept_as_a_patch_under_its_own_name(made):
    inside = made(agent("a", "echo x = 1 >> src/app.py", writes=["src/**"]))
    run, _ = worked(inside)
    patches = inside.world.rundir(run).folder / "patches"
    assert [path.name for path in patches.iterdir()] == ["a.1.patch"]
    assert "+x = 1" in (patches / "a.1.patch").read_text()


def test_a_secret_that_an_agent_wrote_is_refused_and_is_in_no_patch(made, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", SECRET)
    role = AGENTS.replace("[sh, agent.sh]", "[sh, agent.sh], pass_env: [MY_TOKEN]")
    writes = "echo \"x = '$MY_TOKEN'\" >> src/app.py; echo $MY_TOKEN"
    inside = made(agent("a", writes, writes=["src/**"], retry={"max": 0}), more=role)
    run, state = worked(inside)
    (one,) = finished(inside, run)
    kinds = {each.kind for each in one.violations}
    assert (kinds, state.product.tree) == ({ViolationKind.SECRET_WRITTEN}, "")
    rundir = inside.world.rundir(run)
    printed = rundir.attempt("a", 1) / STDOUT
    assert printed.read_text() == "[secret]\n"
    for path in [each for each in rundir.folder.rglob("*") if each.is_file()]:
        assert SECRET.encode() not in path.read_bytes(), path


def test_a_secret_in_an_output_is_refused_too(made, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", SECRET)
    role = AGENTS.replace("[sh, agent.sh]", "[sh, agent.sh], pass_env: [MY_TOKEN]")
    does = 'echo $MY_TOKEN > "$PIPELINE_OUTPUT_DIR/plan.md"'
    inside = made(agent("a", does, outputs={"plan": "plan.md"}, retry={"max": 0}), more=role)
    run, _ = worked(inside)
    (one,) = finished(inside, run)
    assert [each.kind for each in one.violations] == [ViolationKind.SECRET_WRITTEN]


@pytest.mark.parametrize("then", ["true", "echo other > $HERE/.env"])
def test_a_copy_of_a_file_that_git_ignores_gets_into_no_commit(made, tmp_path, then):
    does = f"cp .env src/copied.txt; {then.replace('$HERE', str(tmp_path / 'repo'))}"
    inside = made(agent("a", does, writes=["src/**"], retry={"max": 0}))
    for name, text in ((".gitignore", ".env\n"), (".worktreeinclude", ".env\n")):
        (inside.bare.root / name).write_text(text)
    inside.bare.commit("ignore it")
    (inside.bare.root / ".env").write_text("a=private\n")
    run, state = worked(inside)
    (one,) = finished(inside, run)
    assert [(each.kind, each.path) for each in one.violations] == [
        (ViolationKind.COPY_OF_IGNORED_FILE, "src/copied.txt")
    ]
    assert state.product.tree == ""


def test_an_agent_is_told_what_it_may_cost(made):
    told = 'echo "$PIPELINE_LIMIT_USD $PIPELINE_LIMIT_TOKENS" > "$PIPELINE_OUTPUT_DIR/plan.md"'
    limits = {"usd": 1.5, "tokens": 2000}
    inside = made(agent("a", told, limits=limits, outputs={"plan": "plan.md"}))
    run, _ = worked(inside)
    assert (inside.world.rundir(run).accepted("a") / "plan.md").read_text() == "1.5 2000\n"


def test_an_agent_that_changed_nothing_has_not_done_what_must_be_done(made):
    locks = "locks:\n  source: {paths: [src/**]}\n"
    inside = made(agent("a", "true", lock="source"), more=AGENTS + locks)
    run, _ = worked(inside)
    (one,) = finished(inside, run)
    assert (one.outcome, one.kind) == (Outcome.FAILED, FailureKind.NO_CHANGE)


def test_a_developer_who_only_objects_has_done_its_work(made):
    locks = "locks:\n  source: {paths: [src/**]}\n"
    says = """echo '{"objections": [{"test": "t", "why": "w"}]}' > "$PIPELINE_OUTPUT_DIR/o.json\""""
    output = {"o": {"file": "o.json", "schema": "objections", "optional": True}}
    inside = made(agent("a", says, lock="source", outputs=output), more=AGENTS + locks)
    run, _ = worked(inside)
    (one,) = finished(inside, run)
    assert one.outcome is Outcome.DONE, one.reason


def test_an_attempt_beyond_its_time_has_timed_out(made):
    inside = made(agent("a", "sleep 60", timeout="1s", retry={"max": 0}))
    run, _ = worked(inside)
    (one,) = finished(inside, run)
    assert (one.outcome, one.kind) == (Outcome.FAILED, FailureKind.TIMEOUT)
    assert one.duration_s < 30


def test_a_silent_attempt_is_ended_after_its_idle_time(made):
    inside = made(agent("a", "sleep 60", timeout="50s", idle_timeout="1s", retry={"max": 0}))
    run, _ = worked(inside)
    (one,) = finished(inside, run)
    assert (one.outcome, one.kind) == (Outcome.FAILED, FailureKind.TIMEOUT)
    assert one.duration_s < 30


def test_a_command_that_ends_with_an_error_has_failed_with_its_words(made):
    inside = made('      a: {run: "echo it broke >&2; exit 3"}\n', more="")
    run, state = worked(inside)
    (one,) = finished(inside, run)
    assert (one.outcome, one.kind) == (Outcome.FAILED, FailureKind.AGENT)
    assert one.reason == "exit status 3: it broke"
    assert (state.end, state.exit_code) == (RunEnd.FAILED, 1)


def test_what_runs_at_the_same_time_has_workspaces_of_its_own(made):
    both = 'touch here.$PIPELINE_STAGE; sleep 1; ls > "$PIPELINE_OUTPUT_DIR/plan.md"; rm here.*'
    inside = made(
        agent("a", both, outputs={"plan": "plan.md"}), agent("b", both, outputs={"plan": "plan.md"})
    )
    run, state = worked(inside)
    assert state.end is RunEnd.DONE
    for stage in ("a", "b"):
        seen = (inside.world.rundir(run).accepted(stage) / "plan.md").read_text().split()
        assert [name for name in seen if name.startswith("here.")] == [f"here.{stage}"]


def test_changes_made_at_the_same_time_are_all_part_of_the_run(made):
    inside = made(
        agent("a", "echo a > src/a.txt; sleep 0.5", writes=["src/a.txt"]),
        agent("b", "echo b > src/b.txt; sleep 1", writes=["src/b.txt"]),
        agent("c", "ls src > $PIPELINE_OUTPUT_DIR/p.md", needs=["a", "b"], outputs={"p": "p.md"}),
    )
    run, state = worked(inside)
    assert state.end is RunEnd.DONE
    seen = (inside.world.rundir(run).accepted("c") / "p.md").read_text().split()
    assert {"a.txt", "b.txt"} <= set(seen)


def test_a_start_is_on_the_disk_before_its_process_runs(made, monkeypatch):
    synced: list[int] = []
    sync = journal._SYNC

    def spied(descriptor: int) -> None:
        sync(descriptor)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(journal, "_SYNC", spied)
    sees = (
        'wc -c < "$ROOT/docs/status/runs/$PIPELINE_RUN_ID/journal.jsonl" > $PIPELINE_OUTPUT_DIR/n'
    )
    inside = made('      a: {run: "true"}\n', agent("b", sees, outputs={"n": "n"}), more="")
    flow = inside.bare.root / "agents" / "flow.yaml"
    text = flow.read_text().replace('"DO"', f'"ROOT": "{inside.bare.root}", "DO"')
    flow.write_text(text.replace("workflows:", f"{AGENTS}workflows:"))
    run, _ = worked(inside)
    size = int((inside.world.rundir(run).accepted("b") / "n").read_text())
    starts = [one for one in inside.heard.events[run] if isinstance(one, StageStarted)]
    assert len(starts) == 2
    assert size in synced


def test_what_a_run_cost_is_the_sum_of_all_attempts_of_all_stages(made):
    first = reports(status="failed", cost_usd=1.25, input_tokens=10, output_tokens=1)
    then = reports(status="done", cost_usd=0.5, input_tokens=5, output_tokens=2)
    twice = f'if test "$PIPELINE_ATTEMPT" = 1; then {first}; else {then}; fi'
    inside = made(
        agent("a", twice, retry={"max": 1, "on": ["agent"]}),
        agent("b", reports(status="done", cost_usd=0.25), needs=["a"]),
    )
    run, state = worked(inside)
    result = load_result(inside.world, run)
    assert (result.cost_usd, state.cost_usd) == (2.0, 2.0)
    assert result.stages["a"].cost_usd == 1.75
    assert result.stages["a"].usage == {"input_tokens": 15, "output_tokens": 3}
    assert result.stages["b"].cost_usd == 0.25
    assert (result.stages["a"].attempts, result.unreported_attempts) == (2, 0)


def test_a_call_that_does_not_say_what_it_cost_is_counted_and_not_taken_for_free(made):
    inside = made(agent("a", "true"), agent("b", reports(status="done", cost_usd=0.25)))
    run, _ = worked(inside)
    result = load_result(inside.world, run)
    assert (result.stages["a"].cost_usd, result.stages["a"].unreported_attempts) == (None, 1)
    assert (result.cost_usd, result.unreported_attempts) == (0.25, 1)


def test_no_variable_of_the_person_reaches_an_agent_that_was_not_named(made, monkeypatch):
    monkeypatch.setenv("SOMETHING_PRIVATE", SECRET)
    inside = made(agent("a", "env > $PIPELINE_OUTPUT_DIR/env", outputs={"env": "env"}))
    run, _ = worked(inside)
    assert "SOMETHING_PRIVATE" not in (inside.world.rundir(run).accepted("a") / "env").read_text()


@pytest.mark.parametrize(("does", "exit_code"), [("true", 0), ("exit 3", 1)])
def test_a_run_says_how_it_ended_by_its_exit_code(made, does, exit_code):
    inside = made(f'      a: {{run: "{does}"}}\n', more="")
    run, state = worked(inside)
    assert load_result(inside.world, run).exit_code == state.exit_code == exit_code
