"""What the back end `command` makes of an ending, an answer and a result file."""

import pytest

from pipeline.backends import load
from pipeline.backends.base import Request
from pipeline.errors import UsageProblem
from pipeline.language.flow import FailureKind
from pipeline.language.plan import Player
from pipeline.process.spec import CommandEnding, ExitRecord


def request_for(folder, command=("/usr/bin/agent", "-p")):
    player = Player(
        role="developer", backend="command", command=command, model="", prompt="p", pass_env=()
    )
    return Request(
        stage="s",
        mode="",
        player=player,
        call=1,
        prompt_file=folder / "p",
        result_file=folder / "r.json",
        cassette="",
    )


def answer(folder, record, stdout="", stderr=""):
    return load("command").answer(request_for(folder), record, stdout, stderr)


def exited(code=0):
    return ExitRecord(ending=CommandEnding.EXITED, code=code)


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (exited(0), None),
        (exited(3), FailureKind.AGENT),
        (exited(75), FailureKind.TRANSIENT),
        (exited(-9), FailureKind.AGENT),
        (ExitRecord(ending=CommandEnding.TIMEOUT, code=-9), FailureKind.TIMEOUT),
        (ExitRecord(ending=CommandEnding.IDLE, code=-9), FailureKind.TIMEOUT),
        (
            ExitRecord(ending=CommandEnding.NOT_FOUND, code=127, reason="cannot run agent"),
            FailureKind.MISSING,
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_an_ending_has_its_kind_of_failure(tmp_path, record, kind):
    assert answer(tmp_path, record).failure is kind


def test_the_answer_is_standard_output_and_its_cost_is_unknown(tmp_path):
    found = answer(tmp_path, exited(), "all done")
    assert (found.text, found.agent, found.usage.cost_usd) == ("all done", "agent", None)


def test_a_result_file_goes_before_standard_output(tmp_path):
    (tmp_path / "r.json").write_text(
        '{"status": "done", "summary": "short", "model": "m-1", "cost_usd": 0.5}'
    )
    found = answer(tmp_path, exited(), "noise")
    assert (found.text, found.agent, found.usage.cost_usd, found.failure) == (
        "short",
        "agent (m-1)",
        0.5,
        None,
    )


def test_a_result_file_can_say_failed_although_the_exit_status_is_0(tmp_path):
    (tmp_path / "r.json").write_text(
        '{"status": "failed", "summary": "the plan contradicts itself"}'
    )
    found = answer(tmp_path, exited())
    assert (found.failure, found.reason) == (FailureKind.AGENT, "the plan contradicts itself")


@pytest.mark.parametrize("text", ["", "{", '{"status": "maybe"}', "[]"])
def test_a_result_file_that_is_not_as_described_is_a_protocol_failure(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    assert answer(tmp_path, exited()).failure is FailureKind.PROTOCOL


def test_a_role_without_a_command_is_told_how_to_get_one(tmp_path):
    with pytest.raises(UsageProblem, match="has no command line"):
        load("command").command(request_for(tmp_path, ()))
