"""A cassette plays back a scripted run: no model is called, but a real process makes real edits.

A cassette is a folder: `STAGE/N/` has the N-th take of a stage, with `answer.md` (standard output),
`files/` (copied over the workspace), `outputs/` (copied into the output folder) and `delete`
(paths, one per line). A stage that is called more often than it has takes gets the last one again.
"""

import sys
from pathlib import Path

from pipeline.backends import cassette_player
from pipeline.backends.base import AgentCommand, AgentReply, Failed, Request, failure_from_ending
from pipeline.core.excerpt import excerpt
from pipeline.errors import UsageProblem
from pipeline.ids import stage_folder
from pipeline.language.flow import FailureKind
from pipeline.process.spec import ExitRecord


class CassetteBackend:
    """The back end called `cassette`."""

    def command(self, request: Request) -> AgentCommand:
        """Return the command that plays this call's take."""
        # -I and -S: neither the workspace nor the environment can put code into the player.
        take = find_take(Path(request.cassette), request.stage, request.call)
        return AgentCommand(argv=(sys.executable, "-I", "-S", cassette_player.__file__, str(take)))

    def reply(self, request: Request, record: ExitRecord, stdout: str, stderr: str) -> AgentReply:
        """Return the take's answer."""
        if (failed := failure_from_ending(record)) is not None:
            return AgentReply(text=stdout, agent="cassette", end=failed)
        if record.code != 0:
            reason = f"take {request.call} of {request.stage}: {excerpt(stderr)}"
            failed = Failed(kind=FailureKind.AGENT, reason=reason)
            return AgentReply(text=stdout, agent="cassette", end=failed)
        return AgentReply(text=stdout, agent="cassette")


def find_take(cassette: Path, stage: str, call: int) -> Path:
    """Return the folder of a stage's take for a call, or of its last take.

    Raises `UsageProblem` if the stage has none.
    """
    folder = cassette / stage_folder(stage)
    takes = sorted((int(path.name), path) for path in folder.glob("[0-9]*") if path.name.isdigit())
    if not takes:
        raise UsageProblem(
            f"the cassette {cassette} has no take for the stage {stage}",
            f"Add {folder}/1/answer.md, or run without --cassette",
        )
    return next((path for number, path in takes if number == call), takes[-1][1])
