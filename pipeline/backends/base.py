"""What a back end does: it returns the command to run for a prompt, and reads the answer.

The engine runs the command, under a shim, with a deadline, in the workspace. A back end never
starts a process, never touches the workspace, and never decides whether the work was good.
"""

from pathlib import Path
from typing import Literal, Protocol

import msgspec

from pipeline.core.events import Usage
from pipeline.language.flow import FailureKind
from pipeline.language.plan import Player
from pipeline.process.spec import CommandEnding, ExitRecord


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One call of an agent; `call` counts the calls of its stage, except those that were lost.

    `writes` tells whether the stage may write in the repository, `folders` are the ones outside the
    workspace that it reads and writes, `commands` those of its targets: tests, checks, formatters.
    """

    stage: str
    mode: str
    player: Player
    call: int
    prompt_file: Path
    result_file: Path
    cassette: str
    writes: bool = False
    folders: tuple[Path, ...] = ()
    commands: tuple[str, ...] = ()


class AgentCommand(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: arguments, the file for standard input, and additional variables."""

    argv: tuple[str, ...]
    stdin: Path | None = None
    env: dict[str, str] = {}


class Finished(msgspec.Struct, frozen=True):
    """The agent says that it is done; only the gates decide whether it is."""


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """The call failed, or the agent says that it could not do the work."""

    kind: FailureKind
    reason: str


class QuotaUsedUp(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was done: the quota is used up, and is restored after `retry_after_s`."""

    reason: str
    retry_after_s: float


class Questions(msgspec.Struct, frozen=True, kw_only=True):
    """The agent has questions for a person, and has not done the work."""

    questions: tuple[str, ...]


class AlreadyExists(msgspec.Struct, frozen=True, kw_only=True):
    """The agent says that the requested change exists already, in these places."""

    where: tuple[str, ...]
    summary: str = ""


CallEnd = Finished | Failed | QuotaUsedUp | Questions | AlreadyExists
"""How an agent's call ended."""


class AgentReply(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one call: the answer, who gave it, what it used, and how the call ended.

    `denied` is what the agent wanted to do and was not allowed to.
    """

    text: str = ""
    agent: str = ""
    usage: Usage = Usage()
    end: CallEnd = Finished()
    denied: tuple[str, ...] = ()


class _Statement(msgspec.Struct, frozen=True):
    """The JSON block at the end of an answer that holds questions, or existing places."""

    status: Literal["questions", "exists"]
    questions: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    summary: str = ""


def parse_statement(text: str) -> Questions | AlreadyExists | None:
    """Return what the last JSON block of an answer states; None if it is no such statement."""
    block = text.rpartition("```json")[2].partition("```")[0] if "```json" in text else text
    try:
        statement = msgspec.json.decode(block, type=_Statement)
    except msgspec.DecodeError:
        return None
    if statement.status == "questions":
        return Questions(questions=statement.questions)
    return AlreadyExists(where=statement.where, summary=statement.summary)


class Backend(Protocol):
    """One way to run an agent. Both methods are pure, but may read the files they are given."""

    def command(self, request: Request) -> AgentCommand:
        """Return what to run. May be called twice for a request. Raises `UsageProblem`."""
        ...

    def reply(self, request: Request, record: ExitRecord, stdout: str, stderr: str) -> AgentReply:
        """Read what the command left: record, output, `request.result_file`. Never raises."""
        ...


def failure_from_ending(record: ExitRecord) -> Failed | None:
    """Return why a command that did not simply exit has failed; the same for every back end."""
    match record.ending:
        case CommandEnding.TIMEOUT:
            reason = f"stopped after {record.duration_s:.1f} s, its time limit"
            return Failed(kind=FailureKind.TIMEOUT, reason=reason)
        case CommandEnding.IDLE:
            reason = "stopped after a long silence, its idle limit"
            return Failed(kind=FailureKind.TIMEOUT, reason=reason)
        case CommandEnding.NOT_FOUND:
            return Failed(kind=FailureKind.MISSING, reason=record.reason)
        case _:
            return None
