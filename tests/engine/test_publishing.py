"""What is published is what was verified, once, and over nobody else's work."""

import pytest

from pipeline.core.events import EffectDone, EffectIntended, StageFinished
from pipeline.core.outcomes import Outcome, RunEnd, StopReason
from pipeline.engine.steering.retry import retry
from pipeline.engine.steering.rollback import roll_back
from pipeline.errors import UsageProblem
from pipeline.language.flow import FailureKind
from tests.helpers.inside import AGENTS, Inside, agent

CHANGES = agent("a", "echo x = 1 >> src/app.py", writes=["src/**"])
OUT = "      out: {publish: {draft: false}, needs: [NEED]}\n"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Makes a repository with a remote, and a flow that publishes after its last stage."""

    def make(*stages, last="a", remote=True):
        inside = Inside(tmp_path, monkeypatch, "".join(stages) + OUT.replace("NEED", last), AGENTS)
        if remote:
            inside.bare.git("init", "--quiet", "--bare", str(tmp_path / "remote.git"))
            inside.bare.git("remote", "add", "origin", str(tmp_path / "remote.git"))
            inside.bare.git("push", "--quiet", "origin", "main")
        return inside

    return make


def branch(state):
    assert state.effects.branch is not None
    return state.effects.branch


def on_remote(inside, name):
    return inside.bare.git("ls-remote", "origin", f"refs/heads/{name}").partition("\t")[0]


def published(inside, **order):
    run = inside.start(**order)
    return run, inside.work(run)


def ending(inside, run, stage="out"):
    events = inside.heard.events[run]
    return [one for one in events if isinstance(one, StageFinished) and one.stage == stage][-1]


def test_branch_push_and_pull_request_are_each_intended_before_they_are_done(made):
    inside = made(CHANGES)
    run, state = published(inside)
    assert state.end is RunEnd.DONE
    steps = [
        (type(event).__name__, type(event.effect).__name__)
        for event in inside.heard.events[run]
        if isinstance(event, EffectIntended | EffectDone)
    ]
    effects = ["BranchEffect", "PushEffect", "PullRequestEffect"]
    kinds = ["EffectIntended", "EffectDone"]
    assert steps == [(kind, effect) for effect in effects for kind in kinds]
    assert on_remote(inside, branch(state).branch) == branch(state).head


def test_the_branch_has_what_the_stages_changed_and_nothing_else(made):
    inside = made(CHANGES)
    _, state = published(inside)
    made_by_run = branch(state)
    names = inside.bare.git("diff", "--name-only", "main", made_by_run.head).splitlines()
    assert names == ["src/app.py"]


def test_a_branch_of_somebody_else_on_the_remote_is_not_overwritten(made):
    inside = made(CHANGES)
    run = inside.start()
    other = inside.bare.git("rev-parse", "main")
    state = inside.work(run)
    name = branch(state).branch
    assert on_remote(inside, name) == branch(state).head
    inside.bare.git("commit", "--quiet", "--allow-empty", "-m", "theirs")
    second = inside.start()
    theirs = name.replace(run, second)
    assert theirs != name
    inside.bare.git("push", "--quiet", "origin", f"{other}:refs/heads/{theirs}")
    state = inside.work(second)
    assert on_remote(inside, theirs) == other
    assert state.stop is StopReason.PUBLISH_REFUSED
    assert "which this run did not push" in ending(inside, second).reason


def test_a_tree_that_no_green_gate_saw_is_not_published(made):
    verified = agent("check", "true", needs=["a"], gates=["green"])
    later = agent("b", "echo y = 1 >> src/app.py", writes=["src/**"], needs=["check"])
    inside = made(CHANGES, verified, later, last="b")
    run, state = published(inside)
    one = ending(inside, run)
    assert (one.outcome, one.kind) == (Outcome.FAILED, FailureKind.MISSING)
    assert "was not verified" in one.reason
    assert state.effects.branch is None


def test_who_wants_no_pull_request_gets_a_branch_alone(made):
    inside = made(CHANGES)
    _, state = published(inside, publish=False)
    assert (state.end, state.effects.pull_request) == (RunEnd.DONE, None)
    assert branch(state).head


def test_a_branch_that_is_in_the_way_is_told_before_an_agent_is_paid(made):
    inside = made(CHANGES, remote=False)
    flow = inside.bare.root / "agents" / "flow.yaml"
    flow.write_text(flow.read_text().replace("draft: false", "branch: 'mine/{run_id}'"))
    inside.bare.commit("name the branch")
    run = "20260102-030405-0a1b2c3d"
    inside.bare.git("branch", "mine")
    with pytest.raises(UsageProblem, match="the branch mine is in the way"):
        inside.start(run_id=run)
    assert not inside.world.rundir(run).exists


def test_what_is_published_is_not_made_again(made):
    inside = made(CHANGES)
    run, _ = published(inside)
    with pytest.raises(UsageProblem, match="is published"):
        retry(inside.world, run, "a")


def test_a_rollback_takes_away_what_the_run_pushed(made):
    inside = made(CHANGES)
    run, state = published(inside)
    done = roll_back(inside.world, run)
    name = branch(state).branch
    assert on_remote(inside, name) == ""
    assert f"deleted {name} on origin" in done
    assert name not in inside.bare.git("branch", "--list", "--all")


def test_a_rollback_leaves_a_branch_that_somebody_else_has_worked_on(made):
    inside = made(CHANGES)
    run, state = published(inside)
    name = branch(state).branch
    tree = inside.bare.git("rev-parse", f"{name}^{{tree}}")
    theirs = inside.bare.git("commit-tree", tree, "-p", branch(state).head, "-m", "theirs")
    inside.bare.git("push", "--quiet", "origin", f"{theirs}:refs/heads/{name}")
    inside.bare.git("update-ref", f"refs/heads/{name}", theirs)
    done = roll_back(inside.world, run)
    assert on_remote(inside, name) == theirs
    assert f"left {name} on origin: somebody pushed to it" in done
    assert inside.bare.git("rev-parse", name) == theirs
    assert f"left {name}: somebody committed to it" in done
