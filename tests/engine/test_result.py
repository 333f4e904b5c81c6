"""The result of a run as one object: every word in it is what the record says, and no better."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.core.events import RunFinished, RunParked, StageFinished, StageStarted
from pipeline.core.evidence import GateResult, GateVerdict
from pipeline.core.fold import apply
from pipeline.core.outcomes import Outcome, RunEnd, StopReason
from pipeline.engine.ground.lookup import load_state
from pipeline.engine.looking.result import result_of
from pipeline.language.flow import FailureKind, GateName
from tests.helpers.inside import AGENTS, Inside, agent

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
NOWHERE = Path("nowhere")


@pytest.fixture(scope="module")
def inside(tmp_path_factory):
    stages = agent("a", "true") + agent("b", "true", needs=["a"])
    with pytest.MonkeyPatch.context() as patch:
        yield Inside(tmp_path_factory.mktemp("result"), patch, stages, AGENTS)


def result(inside, *events, is_alive=False):
    """The result of a new run after these events."""
    state = load_state(inside.world, inside.start())
    for event in events:
        apply(state, event)
    return result_of(state, run_dir=NOWHERE, workspaces=NOWHERE, now=NOON, is_alive=is_alive)


def started(stage="a", attempt=1):
    return StageStarted(at=NOON, stage=stage, attempt=attempt, round=1, slot=0, tree="t")


def finished(*verdicts, outcome=Outcome.DONE, stage="a", kind=None):
    gates = tuple(
        GateResult(gate=GateName.GREEN, verdict=verdict, tree="t", detail="as seen")
        for verdict in verdicts
    )
    return StageFinished(
        at=NOON, stage=stage, attempt=1, outcome=outcome, kind=kind, gates=gates, reason="why"
    )


@pytest.mark.parametrize("verdict", list(GateVerdict))
def test_a_gate_has_passed_only_when_its_verdict_is_that(inside, verdict):
    (gate,) = result(inside, started(), finished(verdict)).gates
    assert (gate.verdict, gate.passed) == (verdict.value, verdict is GateVerdict.PASSED)


def test_the_newest_result_of_a_gate_is_the_last_in_time_whatever_the_order_of_the_flow(inside):
    late = finished(GateVerdict.FAILED, outcome=Outcome.FAILED, kind=FailureKind.GATE)
    told = result(inside, started("b"), started("a"), finished(GateVerdict.PASSED, stage="b"), late)
    assert told.tests.green is not None
    assert told.tests.green.verdict is GateVerdict.FAILED


@pytest.mark.parametrize("stop", list(StopReason))
def test_a_parked_run_says_why_it_stopped_and_that_it_waits(inside, stop):
    if stop.value in set(RunEnd):
        pytest.skip("an end, and no reason to park")
    told = result(inside, RunParked(at=NOON, stop=stop, reason="why"))
    assert (told.stop, told.reason, told.exit_code) == (stop, "why", stop.exit_code)
    assert told.state == ("waiting" if stop.waits_for_person else "interrupted")


@pytest.mark.parametrize("end", list(RunEnd))
def test_a_run_that_is_over_says_how(inside, end):
    told = result(inside, RunFinished(at=NOON, end=end, reason="why"))
    assert (told.state, told.stop) == (end.value, StopReason(end.value))
    assert (told.exit_code == 0) is (end is RunEnd.DONE)


def test_a_run_that_somebody_works_on_has_not_stopped(inside):
    parked = RunParked(at=NOON, stop=StopReason.LOCK_HELD, reason="why")
    told = result(inside, started(), parked, is_alive=True)
    assert (told.state, told.stop) == ("running", None)


def test_a_run_whose_process_was_killed_is_not_done(inside):
    told = result(inside, started())
    assert (told.state, told.stop) == ("interrupted", None)
    assert told.exit_code != 0


def test_the_stage_that_failed_the_run_is_named(inside):
    failed = finished(outcome=Outcome.FAILED, kind=FailureKind.AGENT)
    told = result(inside, started(), failed)
    assert (told.decided_by, told.stages["a"].state, told.stages["a"].reason) == (
        "a",
        "failed",
        "why",
    )


def test_what_nobody_reported_is_not_known(inside):
    told = result(inside, started(), finished())
    assert (told.cost_usd, told.stages["a"].cost_usd, told.unreported_attempts) == (None, None, 1)
    assert told.stages["a"].usage == {"input_tokens": None, "output_tokens": None}
    assert (told.tests.red, told.tests.green, told.tests.proof) == (None, None, None)
