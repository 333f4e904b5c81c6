"""What a back end is: it says which command to run for a prompt, and reads the answer.

The engine runs the command, under a shim, with a deadline, in the workspace. A back end never
starts a process, never touches the workspace, and never decides whether the work was good.
"""

from pathlib import Path
from typing import Literal, Protocol

import msgspec

from pipeline.core.events import Usage
from pipeline.language.flow import FailureKind
from pipeline.language.plan import Player
from pipeline.process.spec import Ending, ExitRecord


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One call of an agent.

    `call` counts the calls of this stage in the run, lost ones left out.
    """

    stage: str
    mode: str
    player: Player
    call: int
    prompt_file: Path
    result_file: Path
    cassette: str


class AgentCommand(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: arguments, the file for standard input, and variables besides the usual ones."""

    argv: tuple[str, ...]
    stdin: Path | None = None
    env: dict[str, str] = {}


class Finished(msgspec.Struct, frozen=True):
    """The agent says that it is done: a claim, not a fact."""


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """The call failed, or the agent says that it could not do its work."""

    kind: FailureKind
    reason: str


class QuotaUsedUp(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was done: the quota is used up, and given back after so many seconds."""

    reason: str
    retry_after_s: float


class Questions(msgspec.Struct, frozen=True, kw_only=True):
    """The agent wants to ask a person instead of doing its work."""

    questions: tuple[str, ...]


class AlreadyThere(msgspec.Struct, frozen=True, kw_only=True):
    """The agent says that what was asked for is there already, in these places."""

    where: tuple[str, ...]
    summary: str = ""


CallEnd = Finished | Failed | QuotaUsedUp | Questions | AlreadyThere
"""How an agent's call ended."""


class AgentReply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back from one call: what was said, by whom, what it used, and how the call ended."""

    text: str = ""
    agent: str = ""
    usage: Usage = Usage()
    end: CallEnd = Finished()


class _Statement(msgspec.Struct, frozen=True):
    """The JSON block at the end of an answer that says questions or places instead of work."""

    status: Literal["questions", "exists"]
    questions: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    summary: str = ""


def statement_in(text: str) -> Questions | AlreadyThere | None:
    """Read the last JSON block of an answer as a statement; None when it is none."""
    block = text.rpartition("```json")[2].partition("```")[0] if "```json" in text else text
    try:
        statement = msgspec.json.decode(block, type=_Statement)
    except msgspec.DecodeError:
        return None
    if statement.status == "questions":
        return Questions(questions=statement.questions)
    return AlreadyThere(where=statement.where, summary=statement.summary)


class Backend(Protocol):
    """One way to have an agent work. Both methods are pure but for reading files they are given."""

    def command(self, request: Request) -> AgentCommand:
        """Say what to run. May be called twice for one request. Raises `UsageProblem` when it cannot."""
        ...

    def reply(self, request: Request, record: ExitRecord, stdout: str, stderr: str) -> AgentReply:
        """Read what the command left: its record, its output, `request.result_file`. Never raises."""
        ...


def failed_ending(record: ExitRecord) -> Failed | None:
    """Translate an ending that is not a plain exit; the same for every back end."""
    match record.ending:
        case Ending.TIMEOUT:
            reason = f"stopped after {record.duration_s:.1f} s, its time limit"
            return Failed(kind=FailureKind.TIMEOUT, reason=reason)
        case Ending.IDLE:
            reason = "stopped after a long silence, its idle limit"
            return Failed(kind=FailureKind.TIMEOUT, reason=reason)
        case Ending.NOT_FOUND:
            return Failed(kind=FailureKind.MISSING, reason=record.reason)
        case _:
            return None
