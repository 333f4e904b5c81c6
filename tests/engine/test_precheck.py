"""The base is looked at before an agent is paid: what cannot be tested or set up ends the run at once."""

import pytest

from pipeline.core.events import StageStarted
from pipeline.core.outcomes import RunEnd, StopReason
from pipeline.engine.ground.lookup import load_state
from pipeline.engine.starting.doctor import examine
from pipeline.engine.starting.preflight import CheckStatus
from pipeline.errors import UsageProblem
from tests.helpers.inside import AGENTS, Inside, agent

STAGES = agent("a", "true", gates=["green"])


@pytest.fixture
def inside(tmp_path, monkeypatch):
    return Inside(tmp_path, monkeypatch, STAGES, AGENTS)


def write(inside, name, text):
    (inside.bare.root / name).write_text(text)
    inside.bare.commit(f"change {name}")


def started(inside, run):
    return [one.stage for one in inside.heard.events[run] if isinstance(one, StageStarted)]


def test_tests_that_cannot_be_collected_end_the_run_before_an_agent_is_called(inside):
    write(inside, "tests/test_app.py", "from nowhere import nothing\n")
    run = inside.start()
    with pytest.raises(UsageProblem, match="the tests of the base cannot be run"):
        inside.work(run)
    state = load_state(inside.world, run)
    assert (state.end, state.stop, started(inside, run)) == (
        RunEnd.FAILED,
        StopReason.BASE_UNUSABLE,
        [],
    )


def test_tests_that_fail_on_the_base_are_noted_and_set_apart(inside):
    write(inside, "tests/test_old.py", "def test_old():\n    assert False\n")
    run = inside.start()
    state = inside.work(run)
    assert state.end is RunEnd.DONE
    assert any("1 test(s) fail on the base already" in note for note in state.notes)


def test_a_set_up_that_fails_parks_the_run_before_an_agent_is_called(tmp_path, monkeypatch):
    needs = AGENTS + "workspace: {setup: ['false']}\n"
    inside = Inside(tmp_path, monkeypatch, STAGES, needs)
    run = inside.start()
    with pytest.raises(UsageProblem):
        inside.work(run)
    state = load_state(inside.world, run)
    assert (state.end, state.stop, started(inside, run)) == (None, StopReason.SETUP_FAILED, [])


def test_a_check_that_is_not_installed_ends_the_run_before_an_agent_is_called(
    tmp_path, monkeypatch
):
    inside = Inside(tmp_path, monkeypatch, agent("a", "true", gates=["checks"]), AGENTS)
    flow = inside.bare.root / "agents" / "flow.yaml"
    test = "test: python -m pytest -q"
    write(inside, "agents/flow.yaml", flow.read_text().replace(test, f"{test}, checks: [no-such]"))
    run = inside.start()
    with pytest.raises(UsageProblem, match="no-such"):
        inside.work(run)
    assert started(inside, run) == []


UNSTABLE = """
import uuid
import pytest

@pytest.mark.parametrize("token", [str(uuid.uuid4())])
def test_token(token):
    assert token
"""


def test_tests_with_another_name_in_each_run_are_named_by_doctor(inside):
    write(inside, "tests/test_token.py", UNSTABLE)
    found = [check for check in examine(inside.world, quick=False) if "another name" in check.text]
    assert [(one.status, one.name) for one in found] == [(CheckStatus.WARN, "tests of app")]
    assert "tests.test_token::test_token[" in found[0].text


def test_a_red_base_of_which_only_the_exit_status_is_known_is_refused(tmp_path, monkeypatch):
    weak = """{command: "sh -c 'echo why; exit 3'", report: exit-code}"""
    inside = Inside(tmp_path, monkeypatch, STAGES, AGENTS, test=weak)
    run = inside.start()
    with pytest.raises(UsageProblem, match=r"fails on the base[\s\S]*exit status 3[\s\S]*why"):
        inside.work(run)
    assert started(inside, run) == []


def test_a_check_that_finds_something_on_the_base_shows_what(tmp_path, monkeypatch):
    inside = Inside(
        tmp_path, monkeypatch, STAGES, AGENTS, target="checks: ['echo a.py:3: bad; exit 1']"
    )
    found = [
        check for check in examine(inside.world, quick=False) if "finds something" in check.text
    ]
    assert [one.status for one in found] == [CheckStatus.WARN]
    assert "a.py:3: bad" in found[0].text
