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


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What to run: arguments, the file for standard input, and variables besides the usual ones."""

    argv: tuple[str, ...]
    stdin: Path | None = None
    env: dict[str, str] = {}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. An answer without `failure` is a claim, not a fact.

    `retry_after_s` goes with a quota.
    """

    text: str = ""
    agent: str = ""
    usage: Usage = Usage()
    failure: FailureKind | None = None
    reason: str = ""
    retry_after_s: float = 0.0
    instead: "LastWord | None" = None


class LastWord(msgspec.Struct, frozen=True):
    """What an agent says instead of doing its work: `questions`, or `exists` with the places where.

    It stands in `$PIPELINE_RESULT`, or in the answer's last ```json block.
    """

    status: Literal["questions", "exists"]
    questions: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    summary: str = ""


def last_word(text: str) -> LastWord | None:
    """Read the last JSON block of an answer as such a word; None when it is none."""
    block = text.rpartition("```json")[2].partition("```")[0] if "```json" in text else text
    try:
        return msgspec.json.decode(block, type=LastWord)
    except msgspec.DecodeError:
        return None


class Backend(Protocol):
    """One way to have an agent work. Both methods are pure but for reading files they are given."""

    def command(self, request: Request) -> Command:
        """Say what to run. May be called twice for one request.

        Raises `UsageProblem` when it cannot.
        """
        ...

    def answer(self, request: Request, record: ExitRecord, stdout: str, stderr: str) -> Answer:
        """Read what the command left: its record, its output, `request.result_file`.

        Never raises.
        """
        ...


def failed_ending(record: ExitRecord) -> tuple[FailureKind, str] | None:
    """Translate an ending that is not a plain exit; the same for every back end."""
    match record.ending:
        case Ending.TIMEOUT:
            return FailureKind.TIMEOUT, f"stopped after {record.duration_s:.1f} s, its time limit"
        case Ending.IDLE:
            return FailureKind.TIMEOUT, "stopped after a long silence, its idle limit"
        case Ending.NOT_FOUND:
            return FailureKind.MISSING, record.reason
        case _:
            return None
