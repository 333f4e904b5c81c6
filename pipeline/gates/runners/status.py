"""A test command with no report: its exit status counts as the result of a single test."""

from pipeline.core.evidence import FailureCause
from pipeline.core.excerpt import excerpt
from pipeline.gates.runners.base import (
    TEXT_MAX_CHARACTERS,
    RunOutput,
    TestCommandLine,
    TestRequest,
)
from pipeline.gates.testrun import FailureReason, TestCase, TestOutcome, TestReport

_EXCERPT_MAX_CHARACTERS = 1000


def command_line(request: TestRequest) -> TestCommandLine:
    """Return the command as it is; it cannot be limited to some test files."""
    return TestCommandLine(argv=request.words)


def read(request: TestRequest, output: RunOutput) -> TestReport:
    """Report the whole command as one test, named after its target."""
    name = f"{request.target.name}::all"
    if output.code == 0:
        return TestReport(tests={name: TestCase(outcome=TestOutcome.PASSED)}, weak=True)
    streams = (output.lines(), output.errors())
    printed = [excerpt("\n".join(lines), _EXCERPT_MAX_CHARACTERS) for lines in streams if lines]
    case = TestCase(
        outcome=TestOutcome.FAILED,
        message="\n".join([f"exit status {output.code}:", *printed]),
        text="\n".join(line for lines in streams for line in lines)[-TEXT_MAX_CHARACTERS:],
        reason=FailureReason(
            cause=FailureCause.EXIT_STATUS, what="exit status", text=str(output.code)
        ),
    )
    return TestReport(tests={name: case}, weak=True)
