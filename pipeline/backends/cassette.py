"""A cassette plays a scripted run.

No model is called, but its edits are real edits by a real process.

A cassette is a folder: `STAGE/N/` holds the n-th take of a stage, with `answer.md` (standard
output), `files/` (laid over the workspace), `outputs/` (laid into the output folder) and `delete`
(paths, one a line). A stage called more often than there are takes gets the last one again.
"""

import sys
from pathlib import Path

from pipeline.backends import cassette_player
from pipeline.backends.base import AgentCommand, AgentReply, Failed, Request, failed_ending
from pipeline.core.excerpt import excerpt
from pipeline.errors import UsageProblem
from pipeline.ids import stage_folder
from pipeline.language.flow import FailureKind
from pipeline.process.spec import ExitRecord


class CassetteBackend:
    """The back end called `cassette`."""

    def command(self, request: Request) -> AgentCommand:
        """Play this call's take."""
        take = find_take(Path(request.cassette), request.stage, request.call)
        return AgentCommand(argv=(sys.executable, "-I", "-S", cassette_player.__file__, str(take)))

    def reply(self, request: Request, record: ExitRecord, stdout: str, stderr: str) -> AgentReply:
        """Pass on what the take said."""
        if (failed := failed_ending(record)) is not None:
            return AgentReply(text=stdout, agent="cassette", end=failed)
        if record.code != 0:
            reason = f"take {request.call} of {request.stage}: {excerpt(stderr)}"
            failed = Failed(kind=FailureKind.AGENT, reason=reason)
            return AgentReply(text=stdout, agent="cassette", end=failed)
        return AgentReply(text=stdout, agent="cassette")


def find_take(cassette: Path, stage: str, call: int) -> Path:
    """Return the folder of a stage's n-th take, or of its last one.

    Raises `UsageProblem` when it has none.
    """
    folder = cassette / stage_folder(stage)
    takes = sorted((int(path.name), path) for path in folder.glob("[0-9]*") if path.name.isdigit())
    if not takes:
        raise UsageProblem(
            f"the cassette {cassette} has no take for the stage {stage}",
            f"Add {folder}/1/answer.md, or run without --cassette",
        )
    return next((path for number, path in takes if number == call), takes[-1][1])
