"""Any command line as an agent: prompt on standard input, answer on standard output.

A command may also write a JSON object to `$PIPELINE_RESULT`: `{"status": "done" | "failed" |
"quota" | "questions" | "exists", "summary": TEXT, "model": NAME, "input_tokens": N,
"output_tokens": N, "cost_usd": X, "retry_after_s": N, "questions": [TEXT], "where":
["FILE:LINE"]}`, all but `status` optional. `quota` means that nothing was done: the stage waits
`retry_after_s` and is started again, which costs it no retry. Exit status 0 alone proves nothing;
it only means that the gates are asked.
"""

from typing import Literal

import msgspec

from pipeline.backends.base import Answer, Command, Request, failed_ending, last_word
from pipeline.core.events import Usage
from pipeline.errors import UsageProblem
from pipeline.language.flow import FailureKind
from pipeline.process.spec import ExitRecord

EX_TEMPFAIL = 75
"""Exit status for "try again later", as in BSD's sysexits.h."""

_TAIL = 400
_LONGEST_WAIT_S = 7 * 24 * 3600.0


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


class CommandBackend:
    """The back end called `command`."""

    def command(self, request: Request) -> Command:
        """Run the role's own command line, or the default one."""
        if not request.player.command:
            raise UsageProblem(
                f"the role {request.player.role} has no command line",
                "Write one into agents/flow.yaml: defaults: {command: [claude, -p]}",
            )
        return Command(argv=request.player.command, stdin=request.prompt_file)

    def answer(self, request: Request, record: ExitRecord, stdout: str, stderr: str) -> Answer:
        """Take the result file if there is one, else standard output."""
        agent = (
            request.player.command[0].rpartition("/")[2] if request.player.command else "command"
        )
        if ended := failed_ending(record):
            return Answer(text=stdout, agent=agent, failure=ended[0], reason=ended[1])
        if record.code != 0 and not _is_quota(request):
            kind = FailureKind.TRANSIENT if record.code == EX_TEMPFAIL else FailureKind.AGENT
            tail = (stderr or stdout).strip()[-_TAIL:]
            return Answer(
                text=stdout,
                agent=agent,
                failure=kind,
                reason=f"{agent} ended with {record.code}: {tail}",
            )
        if not request.result_file.exists():
            return Answer(text=stdout, agent=agent)
        return _read(request, agent, stdout)


def _read(request: Request, agent: str, stdout: str) -> Answer:
    try:
        result = msgspec.json.decode(request.result_file.read_bytes(), type=_Result)
    except (OSError, msgspec.DecodeError) as exc:
        return Answer(
            text=stdout,
            agent=agent,
            failure=FailureKind.PROTOCOL,
            reason=f"$PIPELINE_RESULT is not as described: {exc}",
        )
    usage = Usage(
        input_tokens=result.input_tokens,
        output_tokens=result.output_tokens,
        cost_usd=result.cost_usd,
    )
    failure = {"failed": FailureKind.AGENT, "quota": FailureKind.QUOTA}.get(result.status)
    return Answer(
        text=result.summary or stdout,
        instead=last_word(request.result_file.read_text(errors="replace")),
        agent=f"{agent} ({result.model})" if result.model else agent,
        usage=usage,
        failure=failure,
        reason=result.summary or f"the agent says: {result.status}" if failure else "",
        retry_after_s=min(max(result.retry_after_s, 1.0), _LONGEST_WAIT_S),
    )


def _is_quota(request: Request) -> bool:
    """Tell whether the command says that its quota is used up.

    Then its exit status says nothing more.
    """
    try:
        return msgspec.json.decode(request.result_file.read_bytes(), type=_Result).status == "quota"
    except (OSError, msgspec.DecodeError):
        return False
