"""The one place where facts are recorded: whoever listens hears all of them, in the journal's
order.
"""

import msgspec

from pipeline.core.events import (
    Answer,
    Answered,
    CancelRequested,
    Noted,
    RunFinished,
    RunOpened,
    RunStarted,
    StageFinished,
)
from pipeline.core.outcomes import RunEnd
from pipeline.engine.ground import flows
from pipeline.engine.ground.record import open_record
from pipeline.engine.steering.answer import answer
from pipeline.engine.steering.cancel import cancel
from pipeline.engine.steering.fork import fork
from pipeline.engine.steering.retry import retry
from pipeline.files import journal
from tests.helpers.inside import Inside

TWO = """\
      a: {run: "true"}
      b: {run: "test -e GO", needs: [a]}
"""
ASKS = """\
      a: {run: "true"}
      look: {approval: {ask: Is it good?}, needs: [a]}
      b: {run: "true", needs: [look]}
"""


def recorded(inside: Inside, run: str) -> list[bytes]:
    return [msgspec.json.encode(one) for one in journal.read(inside.world.rundir(run).journal)]


def heard(inside: Inside, run: str) -> list[bytes]:
    return [msgspec.json.encode(one) for one in inside.heard.events[run]]


def test_a_listener_hears_a_run_from_its_first_event_on(tmp_path, monkeypatch):
    inside = Inside(tmp_path, monkeypatch, '      a: {run: "true"}\n')
    run = inside.start()
    assert isinstance(inside.heard.events[run][0], RunStarted)
    assert inside.work(run).end is RunEnd.DONE
    assert heard(inside, run) == recorded(inside, run)


def test_what_is_worth_knowing_at_the_start_is_heard_as_well(tmp_path, monkeypatch):
    inside = Inside(tmp_path, monkeypatch, '      a: {run: "true"}\n')
    flow = inside.bare.root / "agents" / "flow.yaml"
    flow.write_text(flow.read_text() + "# edited\n")
    run = inside.start()
    notes = [one.text for one in inside.heard.events[run] if isinstance(one, Noted)]
    assert any("differs from the base commit's" in note for note in notes)


def test_the_log_and_the_status_begin_with_the_run(tmp_path, monkeypatch):
    inside = Inside(tmp_path, monkeypatch, '      a: {run: "true"}\n')
    run = inside.start()
    folder = inside.world.rundir(run).folder
    assert f"run {run} of main" in (folder / "pipeline.log").read_text()
    assert run in (folder / "pipeline_status.json").read_text()


def test_a_retry_is_heard_as_it_is_recorded(tmp_path, monkeypatch):
    inside = Inside(tmp_path, monkeypatch, TWO)
    run = inside.start()
    assert inside.work(run).end is RunEnd.FAILED
    retry(inside.world, run, "b")
    assert heard(inside, run) == recorded(inside, run)


def test_a_fork_is_heard_from_its_first_event_on_with_what_it_keeps(tmp_path, monkeypatch):
    inside = Inside(tmp_path, monkeypatch, TWO)
    run = inside.start()
    inside.work(run)
    new, _ = fork(inside.world, run, "b", reload=False)
    assert isinstance(inside.heard.events[new][0], RunStarted)
    assert any(isinstance(one, StageFinished) for one in inside.heard.events[new])
    assert heard(inside, new) == recorded(inside, new)


def test_a_cancelled_run_that_nobody_worked_on_is_heard(tmp_path, monkeypatch):
    inside = Inside(tmp_path, monkeypatch, TWO)
    run = inside.start()
    cancel(inside.world, run, "not wanted")
    assert any(isinstance(one, CancelRequested) for one in inside.heard.events[run])
    assert isinstance(inside.heard.events[run][-1], RunFinished)
    assert heard(inside, run) == recorded(inside, run)


def test_an_answer_is_heard_and_the_run_goes_on_with_it(tmp_path, monkeypatch):
    inside = Inside(tmp_path, monkeypatch, ASKS)
    run = inside.start()
    assert inside.work(run).end is None
    answer(inside.world, run, Answer.APPROVE, "look", "fine")
    assert isinstance(inside.heard.events[run][-1], Answered)
    assert inside.work(run).end is RunEnd.DONE
    assert heard(inside, run) == recorded(inside, run)


def test_an_event_is_told_after_it_was_written_and_folded(tmp_path, monkeypatch):
    inside = Inside(tmp_path, monkeypatch, '      a: {run: "true"}\n')
    run = inside.start()
    rundir = inside.world.rundir(run)
    seen: list[object] = []

    class Reader:
        def show_again(self, events, state):
            pass

        def hear(self, event, state):
            last = journal.read(rundir.journal)[-1]
            seen.append((last == event, state.notes[-1:] == [event.text]))

        def close(self, _):
            seen.append("closed")

    listeners = (*inside.world.listeners, lambda _: Reader())
    world = msgspec.structs.replace(inside.world, listeners=listeners)
    with open_record(world, rundir) as record:
        record.add(Noted(at=world.clock(), text="a note"))
    assert seen == [(True, True), "closed"]


def test_each_process_that_lets_a_run_go_closes_its_listeners_once(tmp_path, monkeypatch):
    inside = Inside(tmp_path, monkeypatch, '      a: {run: "true"}\n')
    run = inside.start()
    inside.work(run)
    assert inside.heard.closed == [run, run]
    assert sum(isinstance(one, RunOpened) for one in inside.heard.events[run]) == 1


def test_what_was_proven_is_what_is_pinned_whatever_is_edited_meanwhile(tmp_path, monkeypatch):
    roles = "agents:\n  says: {prompt: plain.md.j2, command: [sh, agent.sh]}\n"
    inside = Inside(tmp_path, monkeypatch, "      a: {agent: says, writes: [src/**]}\n", roles)
    prompt = inside.bare.root / "agent_prompts" / "plain.md.j2"
    flow = inside.bare.root / "agents" / "flow.yaml"
    proven = (flow.read_text(), prompt.read_text())
    compiled = flows.compiled

    def edited_meanwhile(*arguments):
        plan = compiled(*arguments)
        prompt.write_text("{{ nobody_knows_this }}")
        flow.write_text("version: 99\n")
        return plan

    monkeypatch.setattr(flows, "compiled", edited_meanwhile)
    run = inside.start()
    pinned = inside.world.rundir(run).flow
    assert (pinned / "flow.yaml").read_text() == proven[0]
    assert (pinned / "agent_prompts" / "plain.md.j2").read_text() == proven[1]


def test_a_run_that_was_begun_meanwhile_is_not_begun_again(tmp_path, monkeypatch):
    inside = Inside(tmp_path, monkeypatch, "      a: {run: 'true'}")
    run = inside.start(run_id="20260102-030405-0a1b2c3d")
    inside.work(run)
    before = heard(inside, run)
    assert inside.start(run_id=run, idea="another") == run
    assert heard(inside, run) == before
