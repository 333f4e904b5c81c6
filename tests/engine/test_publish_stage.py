"""The stage that publishes holds its locks, by their scope, for as long as it publishes."""

import msgspec
import pytest

from pipeline.core.outcomes import Outcome, StopReason
from pipeline.engine.ground.lookup import load_state
from pipeline.engine.running.publish_stage import publish_stage
from pipeline.errors import Busy, Problem, UsageProblem
from pipeline.files import locks
from pipeline.files.clocks import utc_now
from pipeline.files.locks import LockBusy
from pipeline.language.flow import LockScope
from pipeline.language.plan import Node
from tests.helpers.inside import Inside

STAGES = """\
      a: {run: "true"}
      out: {publish: {draft: false}, lock: [mine, everyones], needs: [a]}
"""
LOCKS = "locks:\n  mine: {scope: run}\n  everyones: {scope: repo}\n"
SCOPES = {"mine": LockScope.RUN, "everyones": LockScope.REPO}


@pytest.fixture
def inside(tmp_path, monkeypatch):
    return Inside(tmp_path, monkeypatch, STAGES, LOCKS)


def published(inside, publish, run=""):
    """What comes of the stage `out` of a run, published by `publish`, with short patience."""
    run = run or inside.start()
    settings = msgspec.structs.replace(inside.world.settings, lock_timeout_s=0.2)
    world = msgspec.structs.replace(inside.world, settings=settings)
    state = load_state(world, run)
    node = next(node for node in state.plan.leaves() if node.publish is not None)
    return publish_stage(world, world.rundir(run), state, node, publish)


def held(inside, run, name):
    """Hold one of the locks for another stage of that run."""
    paths = inside.world.rundir(run).locks(name, SCOPES[name])
    return locks.hold(paths, run_id=run, agent="other", stage="else", timeout_s=0.2, now=utc_now)


@pytest.mark.parametrize("name", list(SCOPES))
def test_while_it_publishes_nobody_else_gets_its_locks(inside, name):
    run, seen = inside.start(), []

    def publish(_):
        with pytest.raises(LockBusy) as busy, held(inside, run, name):
            pass
        holder = busy.value.wait.holder
        seen.append(holder.stage if holder is not None else "")
        return "all there"

    result = published(inside, publish, run)
    assert (result.outcome, result.reason, seen) == (Outcome.DONE, "all there", ["out"])
    with held(inside, run, name):
        pass


@pytest.mark.parametrize("name", list(SCOPES))
def test_a_lock_that_somebody_holds_parks_it_and_names_the_holder(inside, name):
    run = inside.start()
    called: list[Node] = []
    with held(inside, run, name):
        result = published(inside, called.append, run)
    assert (result.outcome, result.stop) == (Outcome.PARKED, StopReason.LOCK_HELD)
    assert name in result.reason
    assert f"held by other of run {run}" in result.reason
    assert f"pipeline cancel {run}" in result.hint
    assert called == []


def test_a_lock_of_another_run_is_another_lock_unless_its_scope_is_the_repository(inside):
    other, run = inside.start(), inside.start()
    with held(inside, other, "mine"):
        assert published(inside, lambda _: "", run).outcome is Outcome.DONE
    with held(inside, other, "everyones"):
        assert published(inside, lambda _: "", run).stop is StopReason.LOCK_HELD


@pytest.mark.parametrize(
    ("problem", "outcome", "stop"),
    [
        (UsageProblem("refused", "type this"), Outcome.PARKED, StopReason.PUBLISH_REFUSED),
        (Busy("no room", "type this"), Outcome.PARKED, StopReason.NO_ROOM),
        (Problem("broken", "type this"), Outcome.FAILED, None),
    ],
)
def test_what_others_can_remove_parks_it_and_the_rest_fails_it(inside, problem, outcome, stop):
    def publish(_):
        raise problem

    result = published(inside, publish)
    assert (result.outcome, result.stop, result.reason) == (outcome, stop, problem.what)
    assert result.hint == "type this"
