"""Claude Code's command line and its stream, as far as both can be told without starting it."""

import json
from pathlib import Path

import pytest

from pipeline.backends.base import Failed, Finished, Request
from pipeline.backends.claude_code import ClaudeCodeBackend, allowed_tools
from pipeline.language.flow import FailureKind
from pipeline.language.plan import Player
from pipeline.process.spec import CommandEnding, ExitRecord

PLAYER = Player(
    role="developer", backend="claude-code", command=(), model="", prompt="p", pass_env=()
)
RESULT = {
    "usage": {"input_tokens": 10, "cache_read_input_tokens": 30, "output_tokens": 5},
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "It is done.",
    "num_turns": 3,
    "total_cost_usd": 0.25,
    "modelUsage": {"claude-x-1": {}},
    "permission_denials": [],
}


def request(**more):
    return Request(
        stage="s",
        mode="",
        player=PLAYER,
        call=1,
        prompt_file=Path("/a/prompt.md"),
        result_file=Path("/a/result.json"),
        cassette="",
        folders=(Path("/a/out"), Path("/a/in")),
        **more,
    )


def reply(code=0, stderr="", ending=CommandEnding.EXITED, **changes):
    lines = [
        json.dumps({"type": "system", "subtype": "init"}),
        "no JSON",
        json.dumps(RESULT | changes),
    ]
    record = ExitRecord(ending=ending, code=code)
    return ClaudeCodeBackend().reply(request(), record, "\n".join(lines), stderr)


def test_a_stage_that_writes_edits_and_runs_the_targets_own_commands():
    tools = allowed_tools(
        request(writes=True, commands=("uv run python -m pytest -q tests", "npm run test -- --ci"))
    )
    assert {"Edit", "Write", "Bash(uv run python -m pytest:*)", "Bash(npm run test:*)"} <= set(
        tools
    )
    assert not [one for one in tools if "rm" in one or one == "Bash"]
    argv = ClaudeCodeBackend().command(request(writes=True)).argv
    assert argv[argv.index("--permission-mode") + 1] == "acceptEdits"


def test_a_stage_that_reads_writes_only_into_its_folders():
    tools = allowed_tools(request(commands=("sh -c 'rm -rf /'",)))
    assert "Edit" not in tools
    assert "Edit(//a/out/**)" in tools
    assert "Read" in tools
    argv = ClaudeCodeBackend().command(request()).argv
    assert argv[argv.index("--permission-mode") + 1] == "default"


@pytest.mark.parametrize(
    "command", ["a && b", "X=1 pytest", "pytest; rm x", "$(x)", "'", "", "a,b", "(a)"]
)
def test_what_is_no_plain_command_opens_nothing_more(command):
    tools = allowed_tools(request(commands=(command,)))
    plain = allowed_tools(request())
    more = [one for one in tools if one not in plain]
    assert not [one for one in more if set(";&$(),'") & set(one[5:-3])], more


def test_the_result_tells_answer_tokens_turns_cost_and_model():
    told = reply()
    assert (told.text, told.agent, told.end) == ("It is done.", "claude (claude-x-1)", Finished())
    used = told.usage
    assert (used.input_tokens, used.output_tokens, used.turns, used.cost_usd) == (40, 5, 3, 0.25)


def test_what_was_denied_is_said():
    denied = [
        {"tool_name": "Bash", "tool_input": {"command": "npm i x"}},
        {"tool_name": "WebFetch"},
    ]
    assert reply(permission_denials=denied).denied == ("Bash: npm i x", "WebFetch")


@pytest.mark.parametrize(
    ("code", "changes", "kind"),
    [
        (1, {"is_error": True, "api_error_status": 401}, FailureKind.MISSING),
        (1, {"is_error": True, "result": "Not logged in · Please run /login"}, FailureKind.MISSING),
        (1, {"is_error": True, "api_error_status": 429}, FailureKind.TRANSIENT),
        (1, {"is_error": True, "api_error_status": 529}, FailureKind.TRANSIENT),
        (1, {"is_error": True, "api_error_status": 400}, FailureKind.AGENT),
        (1, {"subtype": "error_max_turns", "is_error": True}, FailureKind.AGENT),
        (0, {"is_error": True, "api_error_status": 500}, FailureKind.TRANSIENT),
    ],
)
def test_a_failure_is_read_from_the_result_and_not_from_the_exit_status(code, changes, kind):
    end = reply(code, **changes).end
    assert isinstance(end, Failed)
    assert end.kind is kind


@pytest.mark.parametrize(("code", "kind"), [(0, FailureKind.PROTOCOL), (1, FailureKind.AGENT)])
def test_an_end_without_a_result_is_no_success(code, kind):
    record = ExitRecord(ending=CommandEnding.EXITED, code=code)
    told = ClaudeCodeBackend().reply(request(), record, '{"type": "assistant"}\n', "oops")
    assert isinstance(told.end, Failed)
    assert told.end.kind is kind
    assert (told.usage.input_tokens, told.usage.cost_usd) == (None, None)


def test_one_that_was_stopped_keeps_what_it_has_used():
    told = reply(ending=CommandEnding.TIMEOUT)
    assert isinstance(told.end, Failed)
    assert told.end.kind is FailureKind.TIMEOUT
    assert told.usage.cost_usd == 0.25
