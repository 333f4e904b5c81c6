"""What an attempt starts from: the round it is in, what it is told, whose outputs it is given."""

from datetime import UTC, datetime

import pytest

from pipeline.core.events import (
    Item,
    ItemsFound,
    PersonEdited,
    RoundStarted,
    StageFinished,
    StageStarted,
)
from pipeline.core.evidence import GateResult, GateVerdict
from pipeline.core.fold import apply
from pipeline.core.outcomes import Outcome, RunEnd
from pipeline.engine.ground.lookup import load_state
from pipeline.engine.running.task import task_of
from pipeline.language.flow import FailureKind, GateName
from tests.helpers.inside import AGENTS, Inside, agent, reports

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
LOOPS = """\
      first:
        loop: {max: 3, until: look.passed}
        stages:
          make: {agent: says, writes: [src/**]}
          look: {agent: says, needs: [make], gates: [green]}
      then:
        loop: {max: 3, until: check.passed}
        needs: [first]
        stages:
          mend: {agent: says, writes: [src/**]}
          check: {agent: says, needs: [mend], gates: [green]}
"""
ITEMS = """\
      list: {agent: says, outputs: {f: {file: f.json, fields: {all: list}}}}
      each:
        needs: [list]
        foreach: {over: list.f.all}
        stages:
          make: {agent: says}
          look: {agent: says, needs: [make]}
      last: {agent: says, needs: [each]}
"""


@pytest.fixture(scope="module")
def inside(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield Inside(tmp_path_factory.mktemp("task"), patch, LOOPS, AGENTS)


def begun(inside, *events):
    """The state of a new run after these events, and its folder."""
    run = inside.start()
    state = load_state(inside.world, run)
    for event in events:
        apply(state, event)
    return state, inside.world.rundir(run)


def task(state, rundir, stage, number=1, **event):
    started = StageStarted(at=NOON, stage=stage, attempt=number, slot=0, **event)
    apply(state, started)
    return task_of(state, rundir, state.plan.nodes[stage], started, is_resumed=False)


def rounds(loop, number, *feedback):
    return RoundStarted(at=NOON, loop=loop, round=number, feedback=feedback)


def gate(stage, attempt, verdict, tree, name=GateName.RED):
    failed = verdict is GateVerdict.FAILED
    return StageFinished(
        at=NOON,
        stage=stage,
        attempt=attempt,
        outcome=Outcome.FAILED if failed else Outcome.DONE,
        kind=FailureKind.GATE if failed else None,
        gates=(GateResult(gate=name, verdict=verdict, tree=tree, detail=""),),
    )


@pytest.mark.parametrize(("number", "is_last"), [(1, False), (2, False), (3, True)])
def test_only_the_last_round_is_the_last(inside, number, is_last):
    state, rundir = begun(inside, *(rounds("first", each) for each in range(2, number + 1)))
    assert task(state, rundir, "look", round=number, tree="t").is_last_round is is_last
    assert task(state, rundir, "make", round=number, tree="t").is_last_round is False


def test_a_stage_is_told_the_feedback_of_its_own_loop_alone(inside):
    state, rundir = begun(inside, rounds("first", 2, "not this"), rounds("then", 2, "but that"))
    told = task(state, rundir, "mend", round=2, tree="t").brief
    assert told is not None
    assert told.feedback == ["but that"]
    assert (told.round, told.max_rounds) == (2, 3)


def test_a_stage_begins_with_the_tree_it_is_given_and_is_held_against_the_runs(inside):
    state, rundir = begun(inside)
    given = task(state, rundir, "make", round=1, tree="t", start_tree="s")
    assert (given.tree, given.start_tree) == ("t", "s")
    assert task(state, rundir, "mend", round=1, tree="t").start_tree == "t"


def test_the_tests_that_count_are_those_of_the_last_red_gate_that_passed(inside):
    state, rundir = begun(inside)
    for number, (verdict, tree) in enumerate(
        [(GateVerdict.PASSED, "good"), (GateVerdict.FAILED, "bad")], start=1
    ):
        stage = ("make", "mend")[number - 1]
        started = StageStarted(at=NOON, stage=stage, attempt=1, slot=0, round=1, tree="t")
        apply(state, started)
        apply(state, gate(stage, 1, verdict, tree))
    red = task(state, rundir, "look", round=1, tree="t").red
    assert red is not None
    assert red.tree == "good"


def test_only_what_was_edited_since_the_tests_were_delivered_is_delivered_with_them(inside):
    before, since = (
        PersonEdited(
            at=NOON, author="P", before="t", tree=tree, commit=tree, changed=("tests/test_app.py",)
        )
        for tree in ("before", "since")
    )
    begin = StageStarted(at=NOON, stage="make", attempt=1, slot=0, round=1, tree="t")
    delivered = gate("make", 1, GateVerdict.PASSED, "good")
    state, rundir = begun(inside, before, begin, delivered, since)
    assert task(state, rundir, "look", round=1, tree="t").edits == (since,)


def test_what_another_item_put_out_is_not_given_to_a_stage(tmp_path, monkeypatch):
    inside = Inside(tmp_path, monkeypatch, ITEMS, AGENTS)
    items = tuple(Item(key=key, value=key) for key in ("1", "2"))
    listed = StageFinished(at=NOON, stage="list", attempt=1, outcome=Outcome.DONE)
    state, rundir = begun(inside, listed, ItemsFound(at=NOON, stage="each", items=items))
    for stage in ("each:1:make", "each:2:make"):
        rundir.accepted(stage).mkdir(parents=True)
        (rundir.accepted(stage) / "plan.md").write_text("x")
    given = task(state, rundir, "each:2:look", round=1, tree="t")
    assert not [stage for stage in given.inputs if stage.startswith("each:1:")]
    assert given.brief is not None
    assert ([*map(str, given.brief.inputs)], given.brief.item) == (["each:2:make/plan.md"], "2")


def test_after_a_gate_the_next_attempt_begins_with_what_the_last_one_left(tmp_path, monkeypatch):
    does = "cat src/app.py > $PIPELINE_OUTPUT_DIR/seen; "
    does += 'echo "def answer(): return $((40 + PIPELINE_ATTEMPT))" > src/app.py'
    again = {"max": 1, "on": ["gate"]}
    line = agent(
        "a", does, writes=["src/**"], gates=["green"], outputs={"seen": "seen"}, retry=again
    )
    inside = Inside(tmp_path, monkeypatch, line, AGENTS)
    run = inside.start()
    assert inside.work(run).end is RunEnd.DONE
    seen = inside.world.rundir(run).accepted("a") / "seen"
    assert "return 41" in seen.read_text()


@pytest.mark.parametrize(
    ("where", "outcome"),
    [
        (["src/app.py:2"], Outcome.DECLINED),
        (["src/app.py:99"], Outcome.FAILED),
        (["src/nowhere.py"], Outcome.FAILED),
        ([], Outcome.FAILED),
    ],
)
def test_what_is_there_already_must_be_in_a_place_that_is_there(
    tmp_path, monkeypatch, where, outcome
):
    line = agent("a", reports(status="exists", where=where), may=["decline"], retry={"max": 0})
    inside = Inside(tmp_path, monkeypatch, line, AGENTS)
    run = inside.start()
    inside.work(run)
    ends = [one.outcome for one in inside.heard.events[run] if isinstance(one, StageFinished)]
    assert ends == [outcome]


def test_an_output_that_does_not_have_its_shape_is_not_accepted(tmp_path, monkeypatch):
    output = {"f": {"file": "f.json", "fields": {"n": "number"}}}
    does = """echo '{"n": "three"}' > "$PIPELINE_OUTPUT_DIR/f.json\""""
    line = agent("a", does, outputs=output, retry={"max": 0})
    inside = Inside(tmp_path, monkeypatch, line, AGENTS)
    run = inside.start()
    inside.work(run)
    (one,) = [one for one in inside.heard.events[run] if isinstance(one, StageFinished)]
    assert (one.outcome, one.kind) == (Outcome.FAILED, FailureKind.PROTOCOL)


def test_the_answer_is_taken_for_the_one_output_that_is_missing(tmp_path, monkeypatch):
    line = agent("a", "echo the whole plan", outputs={"plan": {"file": "plan.md"}})
    inside = Inside(tmp_path, monkeypatch, line, AGENTS)
    run = inside.start()
    inside.work(run)
    (one,) = [one for one in inside.heard.events[run] if isinstance(one, StageFinished)]
    assert (one.outcome, one.outputs) == (Outcome.DONE, {"plan": "plan.md"})


def test_a_list_that_was_left_out_is_empty(tmp_path, monkeypatch):
    output = {"f": {"file": "f.json", "fields": {"n": "number", "more": "list"}}}
    does = """echo '{"n": 3}' > "$PIPELINE_OUTPUT_DIR/f.json\""""
    line = agent("a", does, outputs=output, retry={"max": 0})
    inside = Inside(tmp_path, monkeypatch, line, AGENTS)
    run = inside.start()
    inside.work(run)
    (one,) = [one for one in inside.heard.events[run] if isinstance(one, StageFinished)]
    assert (one.outcome, one.values) == (Outcome.DONE, {"f": {"n": 3, "more": []}})
