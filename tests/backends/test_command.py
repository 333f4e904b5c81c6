"""What the back end `command` makes of an ending, an answer and a result file."""

import json

import pytest

from pipeline.backends.base import (
    AlreadyExists,
    Failed,
    Finished,
    Questions,
    QuotaUsedUp,
    Request,
)
from pipeline.backends.table import load
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


def reply(folder, record, stdout="", stderr=""):
    return load("command").reply(request_for(folder), record, stdout, stderr)


def kind_of(end):
    return end.kind if isinstance(end, Failed) else None


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
    assert kind_of(reply(tmp_path, record).end) is kind


def test_the_answer_is_standard_output_and_its_cost_is_unknown(tmp_path):
    answer = reply(tmp_path, exited(), "all done")
    assert (answer.text, answer.agent, answer.usage.cost_usd) == ("all done", "agent", None)


def test_a_result_file_goes_before_standard_output(tmp_path):
    (tmp_path / "r.json").write_text(
        '{"status": "done", "summary": "short", "model": "m-1", "cost_usd": 0.5}'
    )
    answer = reply(tmp_path, exited(), "noise")
    assert (answer.text, answer.agent, answer.usage.cost_usd) == ("short", "agent (m-1)", 0.5)
    assert answer.end == Finished()


def test_a_result_file_can_say_failed_although_the_exit_status_is_0(tmp_path):
    (tmp_path / "r.json").write_text(
        '{"status": "failed", "summary": "the plan contradicts itself"}'
    )
    answer = reply(tmp_path, exited())
    assert answer.end == Failed(kind=FailureKind.AGENT, reason="the plan contradicts itself")


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (exited(3), "failed"),
        (exited(75), "failed"),
        (exited(0), "failed"),
        (ExitRecord(ending=CommandEnding.TIMEOUT, code=-9), "done"),
        (ExitRecord(ending=CommandEnding.IDLE, code=-9), "done"),
        (exited(1), "quota"),
    ],
    ids=str,
)
def test_what_a_call_has_cost_is_known_whatever_became_of_it(tmp_path, record, status):
    result = {"status": status, "cost_usd": 0.5, "input_tokens": 7, "output_tokens": 2}
    (tmp_path / "r.json").write_text(json.dumps(result))
    usage = reply(tmp_path, record).usage
    assert (usage.cost_usd, usage.input_tokens, usage.output_tokens) == (0.5, 7, 2)


def test_a_quota_says_when_it_is_given_back_whatever_the_exit_status(tmp_path):
    (tmp_path / "r.json").write_text('{"status": "quota", "summary": "used", "retry_after_s": 90}')
    assert reply(tmp_path, exited(1)).end == QuotaUsedUp(reason="used", retry_after_s=90.0)


def test_questions_and_places_are_statements_of_their_own(tmp_path):
    (tmp_path / "r.json").write_text('{"status": "questions", "questions": ["which one?"]}')
    assert reply(tmp_path, exited()).end == Questions(questions=("which one?",))
    (tmp_path / "r.json").write_text('{"status": "exists", "where": ["a.py:3"]}')
    assert reply(tmp_path, exited()).end == AlreadyExists(where=("a.py:3",))


@pytest.mark.parametrize("text", ["", "{", '{"status": "maybe"}', "[]"])
def test_a_result_file_that_is_not_as_described_is_a_protocol_failure(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    assert kind_of(reply(tmp_path, exited()).end) is FailureKind.PROTOCOL


def test_a_role_without_a_command_is_told_how_to_get_one(tmp_path):
    with pytest.raises(UsageProblem, match="has no command line"):
        load("command").command(request_for(tmp_path, ()))
