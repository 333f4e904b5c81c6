"""Steering a run: what is done stays done, what is needed stays there, what is asked for happens."""

import pytest

from pipeline.core.events import Answer, Answered, ApprovalAsked, StageStarted
from pipeline.core.memory import Status
from pipeline.core.outcomes import RunEnd
from pipeline.engine.ground.lookup import load_state
from pipeline.engine.ground.record import exclusive
from pipeline.engine.steering.answer import answer
from pipeline.engine.steering.clean import clean
from pipeline.engine.steering.fork import fork
from pipeline.engine.steering.retry import retry
from pipeline.errors import Busy, NothingToDo, UsageProblem
from tests.helpers.inside import AGENTS, Inside, agent

CHAIN = (
    agent("a", "echo a > src/a.txt", writes=["src/a.txt"])
    + agent("b", "echo b > src/b.txt; test -e $HERE/GO", writes=["src/b.txt"], needs=["a"])
    + agent("c", "echo c > src/c.txt", writes=["src/c.txt"], needs=["b"])
)


@pytest.fixture
def inside(tmp_path, monkeypatch):
    """A flow of three stages; the second fails until there is a file `GO`."""
    stages = CHAIN.replace("$HERE", str(tmp_path))
    return Inside(tmp_path, monkeypatch, stages, AGENTS)


def go(inside):
    (inside.bare.root.parent / "GO").touch()


def started(inside, run):
    return [one.stage for one in inside.heard.events[run] if isinstance(one, StageStarted)]


def test_two_processes_cannot_work_on_one_run(inside):
    run = inside.start()
    rundir = inside.world.rundir(run)
    with (
        exclusive(inside.world, rundir),
        pytest.raises(Busy, match="worked on already"),
        exclusive(inside.world, rundir),
    ):
        pass


def test_a_run_that_is_over_is_not_worked_on_again(inside):
    go(inside)
    run = inside.start()
    assert inside.work(run).end is RunEnd.DONE
    with pytest.raises(NothingToDo, match="is over: done"):
        inside.work(run)
    assert started(inside, run) == ["a", "b", "c"]


def test_what_is_done_is_not_done_again_when_a_stage_is_tried_again(inside):
    run = inside.start()
    assert inside.work(run).end is RunEnd.FAILED
    go(inside)
    assert retry(inside.world, run, "b") == ["b", "c"]
    assert inside.work(run).end is RunEnd.DONE
    assert started(inside, run) == ["a", "b", "b", "c"]


def test_a_stage_whose_prompt_has_changed_runs_again_with_what_builds_on_it(inside):
    run = inside.start()
    inside.work(run)
    go(inside)
    retry(inside.world, run, "b")
    pinned = inside.world.rundir(run).flow / "agent_prompts" / "plain.md.j2"
    pinned.write_text(pinned.read_text() + "Be quick.\n")
    assert inside.work(run).end is RunEnd.DONE
    assert started(inside, run) == ["a", "b", "a", "b", "c"]


def test_what_builds_on_a_stage_whose_prompt_has_changed_runs_again_too(tmp_path, monkeypatch):
    roles = AGENTS.replace("says:", "says2: {prompt: own.md.j2, command: [sh, agent.sh]}\n  says:")
    first = agent("a", "echo a > src/a.txt", writes=["src/**"]).replace('"says"', '"says2"')
    inside = Inside(tmp_path, monkeypatch, first + agent("b", "true", needs=["a"]), roles)
    (inside.bare.root / "agent_prompts" / "own.md.j2").write_text("Do it.\n")
    run = inside.start()
    assert inside.work(run).end is RunEnd.DONE
    (inside.world.rundir(run).flow / "agent_prompts" / "own.md.j2").write_text("Do it well.\n")
    assert inside.work(run).end is RunEnd.DONE
    assert started(inside, run) == ["a", "b", "a", "b"]


def test_the_base_of_a_run_is_kept_by_a_ref(inside):
    go(inside)
    run = inside.start()
    state = inside.work(run)
    assert inside.world.store().ref(f"refs/runs/{run}/base") == state.started.base


def test_latest_is_the_last_run_that_was_done(inside):
    failed = inside.start()
    inside.work(failed)
    latest = inside.bare.root / "docs" / "status" / "latest"
    assert not latest.is_symlink()
    go(inside)
    run = inside.start()
    inside.work(run)
    assert latest.readlink().name == run


def test_a_fork_keeps_what_came_before_and_nothing_that_builds_on_its_stage(inside):
    go(inside)
    run = inside.start()
    old = inside.work(run)
    new, inherited = fork(inside.world, run, "b", reload=False)
    assert inherited == ["a"]
    state = load_state(inside.world, new)
    assert [state.nodes[stage].status for stage in "abc"] == [
        Status.DONE,
        Status.PENDING,
        Status.PENDING,
    ]
    paths = inside.world.store().paths(state.product.tree)
    assert "src/a.txt" in paths
    assert not {"src/b.txt", "src/c.txt"} & set(paths)
    assert inside.work(new).product.tree == old.product.tree
    assert started(inside, new) == ["b", "c"]


def test_what_a_fork_inherits_is_not_paid_again(inside):
    go(inside)
    run = inside.start()
    inside.work(run)
    new, _ = fork(inside.world, run, "c", reload=False)
    assert load_state(inside.world, new).nodes["a"].spent.unreported == 0


def test_a_run_that_is_not_over_is_not_taken_away(inside):
    run = inside.start()
    assert [(one.run_id, one.reason) for one in clean(inside.world, 0.0, dry=False).kept] == [
        (run, f"it is not over: pipeline resume {run}")
    ]
    assert inside.world.rundir(run).exists


def test_a_dry_clean_up_takes_nothing_away(inside):
    run = inside.start()
    inside.work(run)
    assert [one.run_id for one in clean(inside.world, 0.0, dry=True).removed] == [run]
    assert inside.world.rundir(run).exists


def test_a_young_run_is_not_taken_away(inside):
    run = inside.start()
    inside.work(run)
    assert clean(inside.world, 3600.0, dry=False).removed == ()


def test_the_work_of_a_run_that_is_taken_away_is_kept_where_only_it_had_it(inside):
    run = inside.start()
    state = inside.work(run)
    (removed,) = clean(inside.world, 0.0, dry=False).removed
    assert removed.rescued is not None
    assert inside.world.store().ref(removed.rescued.ref) == state.product.commit
    assert not inside.world.rundir(run).exists


def test_the_latest_run_is_not_taken_away(inside):
    go(inside)
    run = inside.start()
    inside.work(run)
    (kept,) = clean(inside.world, 0.0, dry=False).kept
    assert (kept.run_id, kept.reason) == (run, "docs/status/latest points to it")


def test_an_answer_is_about_the_tree_that_was_shown(tmp_path, monkeypatch):
    stages = agent("a", "echo a > src/a.txt", writes=["src/**"])
    stages += "      look: {approval: {ask: Is it good?}, needs: [a]}\n"
    inside = Inside(tmp_path, monkeypatch, stages, AGENTS)
    run = inside.start()
    state = inside.work(run)
    with pytest.raises(UsageProblem, match="asks for approval"):
        answer(inside.world, run, Answer.REPLY, "look", "yes")
    with pytest.raises(UsageProblem, match="what is to be revised"):
        answer(inside.world, run, Answer.REVISE, "look", "")
    answer(inside.world, run, Answer.APPROVE, "look", "")
    events = inside.heard.events[run]
    (asked,) = [one for one in events if isinstance(one, ApprovalAsked)]
    (answered,) = [one for one in events if isinstance(one, Answered)]
    assert asked.tree == answered.tree == state.product.tree != ""
    assert inside.work(run).end is RunEnd.DONE
