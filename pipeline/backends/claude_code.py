"""Claude Code's command line: permissions from the stage, and its stream read for what happened.

A stage that may write edits files and runs the target's own commands; one that may not reads, runs
those commands, and writes only into its output folder. Nobody answers a permission question: what
is not allowed is denied, and said. The last event of the stream (`result`) tells of failure,
denials, turns, tokens and cost; an end without it is no success, whatever the exit status.
"""

import shlex
from typing import Any

import msgspec

from pipeline.backends.base import (
    AgentCommand,
    AgentReply,
    CallEnd,
    Failed,
    Finished,
    Request,
    failure_from_ending,
)
from pipeline.core.events import Usage
from pipeline.core.excerpt import excerpt
from pipeline.language.flow import FailureKind
from pipeline.process.spec import ExitRecord

PROGRAM = "claude"
_READS = ("Read", "Grep", "Glob", "TodoWrite")
_LOOKS = (
    "git status", "git diff", "git log", "git show", "git grep", "git ls-files", "ls", "cat",
    "head", "tail", "wc", "grep", "rg", "find", "pwd",
)  # fmt: skip
"""Commands that every stage may run: they change nothing that is kept."""

_RUN = frozenset({"uv", "poetry", "pdm", "hatch", "pipenv", "rye"})
"""Programs that run another one: `uv run pytest`."""

_SUBCOMMANDS = frozenset({
    "npm", "pnpm", "yarn", "bun", "npx", "go", "cargo", "make", "just", "task", "bundle", "rake",
    "mix", "mvn", "gradle", "dotnet", "composer", "ruff", "biome", "deno", "pre-commit",
})  # fmt: skip
"""Programs whose second word says what is run."""

_EDITS = ("Edit", "Write", "NotebookEdit")
_ENV = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_MAX_RETRIES": "2",
    "DISABLE_AUTOUPDATER": "1",
}
"""Its own retries are kept low, because the stage is repeated by the engine."""

_LATER = frozenset({408, 409, 425, 429})
_NO_KEY = frozenset({401, 403})
_TAIL_CHARACTERS = 400


class _Denial(msgspec.Struct):
    """One use of a tool that was not allowed."""

    tool_name: str = ""
    tool_input: dict[str, Any] = {}

    def __str__(self) -> str:
        what = self.tool_input.get("command") or self.tool_input.get("file_path") or ""
        return f"{self.tool_name}: {what}" if what else self.tool_name


class _Tokens(msgspec.Struct):
    """What the `usage` of a result counts."""

    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int = 0

    @property
    def read(self) -> int:
        """All that the model read, cached or not."""
        return self.input_tokens + self.cache_creation_input_tokens + self.cache_read_input_tokens


class _Result(msgspec.Struct):
    """The last event of the stream (Claude Code 2.1)."""

    type: str
    subtype: str = ""
    is_error: bool = False
    terminal_reason: str = ""
    api_error_status: int | None = None
    result: str = ""
    errors: list[str] = []
    num_turns: int | None = None
    usage: _Tokens | None = None
    modelUsage: dict[str, Any] = {}  # noqa: N815 - its name in the stream
    total_cost_usd: float | None = None
    permission_denials: list[_Denial] = []


class ClaudeCodeBackend:
    """The back end called `claude-code`."""

    def command(self, request: Request) -> AgentCommand:
        """Return the command line with the stage's permissions; the prompt is on standard input."""
        player = request.player
        argv = [
            *(player.command or (PROGRAM,)),
            *("-p", "--output-format", "stream-json", "--verbose"),
            *("--permission-mode", "acceptEdits" if request.writes else "default"),
            *(word for folder in request.folders for word in ("--add-dir", str(folder))),
            *("--allowedTools", ",".join(allowed_tools(request))),
            *(("--model", player.model) if player.model else ()),
        ]
        return AgentCommand(argv=tuple(argv), stdin=request.prompt_file, env=dict(_ENV))

    def reply(self, request: Request, record: ExitRecord, stdout: str, stderr: str) -> AgentReply:
        """Read the last event of the stream."""
        result = _last_result(stdout)
        name = (request.player.command or (PROGRAM,))[0].rpartition("/")[2]
        models = ", ".join(sorted(result.modelUsage)) if result is not None else ""
        end = failure_from_ending(record) or _call_end(record, result, stderr or stdout)
        return AgentReply(
            text=result.result if result is not None else "",
            agent=f"{name} ({models})" if models else name,
            usage=_usage(result),
            end=end,
            denied=tuple(map(str, result.permission_denials)) if result is not None else (),
        )


def allowed_tools(request: Request) -> list[str]:
    """Return the rules for what a stage may use: `Edit`, `Bash(git diff:*)`."""
    commands = dict.fromkeys((*_LOOKS, *filter(None, map(_prefix, request.commands))))
    own = [f"Edit(/{folder}/**)" for folder in request.folders]
    edits = [*_EDITS, *own] if request.writes else own
    return [*_READS, *edits, *(f"Bash({command}:*)" for command in commands)]


def _prefix(command: str) -> str:
    """Return the words of a command that say which program is run; empty for no plain command.

    `uv run python -m pytest -q tests` is `uv run python -m pytest`.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    kept = words[: _count(words)]
    return shlex.join(kept) if not set("$`;|&<>(){}*,=") & set("".join(kept)) else ""


def _count(words: list[str]) -> int:
    """Return how many of the first words of a command name its program."""
    if not words:
        return 0
    name, after = words[0].rpartition("/")[2], words[1:2]
    if name.startswith("python") and after == ["-m"]:
        return 3
    if name in _RUN and after == ["run"]:
        return 2 + _count(words[2:])
    if name not in _SUBCOMMANDS or not after or after[0].startswith("-"):
        return 1
    return 3 if after == ["run"] else 2


def _last_result(stdout: str) -> _Result | None:
    for line in reversed(stdout.splitlines()):
        if '"result"' not in line:
            continue
        try:
            event = msgspec.json.decode(line, type=_Result)
        except msgspec.DecodeError:
            continue
        if event.type == "result":
            return event
    return None


def _usage(result: _Result | None) -> Usage:
    if result is None:
        return Usage()
    tokens = result.usage
    return Usage(
        input_tokens=(
            tokens.input_tokens
            + tokens.cache_creation_input_tokens
            + tokens.cache_read_input_tokens
            if tokens is not None
            else None
        ),
        output_tokens=tokens.output_tokens if tokens is not None else None,
        cost_usd=result.total_cost_usd,
        turns=result.num_turns,
    )


def _call_end(record: ExitRecord, result: _Result | None, output: str) -> CallEnd:
    """Return how a call ended that was not stopped."""
    if result is None:
        tail = excerpt(output.strip()[-_TAIL_CHARACTERS:]) or "it printed nothing"
        reason = f"claude ended with {record.code} and without a result: {tail}"
        kind = FailureKind.AGENT if record.code else FailureKind.PROTOCOL
        return Failed(kind=kind, reason=reason)
    if not result.is_error and result.subtype == "success" and record.code == 0:
        return Finished()
    said = excerpt(result.result or "; ".join(result.errors) or result.terminal_reason)
    status = result.api_error_status
    what = f"status {status}" if status else result.subtype or f"exit status {record.code}"
    return Failed(kind=_kind(result), reason=f"claude: {what}: {said or 'it says no more'}")


def _kind(result: _Result) -> FailureKind:
    status = result.api_error_status
    if status in _NO_KEY or "not logged in" in result.result.lower():
        return FailureKind.MISSING
    if status is not None and (status in _LATER or status >= 500):
        return FailureKind.TRANSIENT
    return FailureKind.AGENT
