"""Any command line as an agent: prompt on standard input, answer on standard output.

A command may also write a JSON object to `$PIPELINE_RESULT`: `{"status": "done" | "failed" |
"quota" | "questions" | "exists", "summary": TEXT, "model": NAME, "input_tokens": N,
"output_tokens": N, "cost_usd": X, "retry_after_s": N, "questions": [TEXT], "where":
["FILE:LINE"]}`; all keys but `status` are optional. `quota` means that nothing was done: the stage
waits `retry_after_s` and is started again, without using up a retry. Exit status 0 proves nothing;
it only means that the gates are run.
"""

from typing import Literal

import msgspec

from pipeline.backends.base import (
    AgentCommand,
    AgentReply,
    AlreadyExists,
    CallEnd,
    Failed,
    Finished,
    Questions,
    QuotaUsedUp,
    Request,
    failure_from_ending,
)
from pipeline.core.events import Usage
from pipeline.errors import UsageProblem
from pipeline.language.flow import FailureKind
from pipeline.process.spec import ExitRecord

EX_TEMPFAIL = 75
"""Exit status for "try again later", as in BSD's sysexits.h."""

_TAIL_CHARACTERS = 400
_QUOTA_WAIT_MAX_S = 7 * 24 * 3600.0


class _Result(msgspec.Struct):
    """The JSON object in `$PIPELINE_RESULT`."""

    status: Literal["done", "failed", "quota", "questions", "exists"]
    questions: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    summary: str = ""
    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    retry_after_s: float = 300.0

    @property
    def usage(self) -> Usage:
        """What the call used."""
        return Usage(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost_usd=self.cost_usd,
        )

    @property
    def end(self) -> CallEnd:
        """How the call ended, according to the agent."""
        match self.status:
            case "failed":
                reason = self.summary or "the agent says: failed"
                return Failed(kind=FailureKind.AGENT, reason=reason)
            case "questions":
                return Questions(questions=self.questions)
            case "exists":
                return AlreadyExists(where=self.where, summary=self.summary)
            case "quota":
                reason = self.summary or "the agent says: quota"
                wait_s = min(max(self.retry_after_s, 1.0), _QUOTA_WAIT_MAX_S)
                return QuotaUsedUp(reason=reason, retry_after_s=wait_s)
            case "done":
                return Finished()


class CommandBackend:
    """The back end called `command`."""

    def command(self, request: Request) -> AgentCommand:
        """Return the role's own command line, or the default one."""
        if not request.player.command:
            raise UsageProblem(
                f"the role {request.player.role} has no command line",
                "Set one in agents/flow.yaml: defaults: {command: [claude, -p]}",
            )
        return AgentCommand(argv=request.player.command, stdin=request.prompt_file)

    def reply(self, request: Request, record: ExitRecord, stdout: str, stderr: str) -> AgentReply:
        """Read the result file if there is one, else standard output.

        What the call used is read from the file even if the call failed.
        """
        agent = "command"
        if request.player.command:
            agent = request.player.command[0].rpartition("/")[2]
        result, problem = _read(request)
        end = failure_from_ending(record) or _call_end(
            record, result, problem, agent, stderr or stdout
        )
        return AgentReply(
            text=(result.summary if result is not None else "") or stdout,
            agent=f"{agent} ({result.model})" if result is not None and result.model else agent,
            usage=result.usage if result is not None else Usage(),
            end=end,
        )


def _read(request: Request) -> tuple[_Result | None, str]:
    """Read the result file; return it, or what is wrong with it."""
    try:
        return msgspec.json.decode(request.result_file.read_bytes(), type=_Result), ""
    except FileNotFoundError:
        return None, ""
    except (OSError, msgspec.DecodeError) as exc:
        return None, f"$PIPELINE_RESULT is not as described: {exc}"


def _call_end(
    record: ExitRecord, result: _Result | None, problem: str, agent: str, output: str
) -> CallEnd:
    """Return how the call ended, for a command that was not stopped."""
    # Before the exit status: agents exit with an error when their quota is used up.
    if result is not None and result.status == "quota":
        return result.end
    if record.code != 0:
        is_transient = record.code == EX_TEMPFAIL
        tail = output.strip()[-_TAIL_CHARACTERS:]
        return Failed(
            kind=FailureKind.TRANSIENT if is_transient else FailureKind.AGENT,
            reason=f"{agent} ended with {record.code}: {tail}",
        )
    if problem:
        return Failed(kind=FailureKind.PROTOCOL, reason=problem)
    return result.end if result is not None else Finished()
