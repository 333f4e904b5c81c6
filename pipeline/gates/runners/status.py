"""A test command of which only the exit status is known: one single test, so to speak."""

from pipeline.core.excerpt import excerpt
from pipeline.gates.runners.base import Ask, Call, Left
from pipeline.gates.testrun import Reason, Seen, TestCase, TestOutcome

_SHOWN = 1000


def call(ask: Ask) -> Call:
    """Run the command as it is; which files are wanted makes no difference to it."""
    return Call(argv=ask.words)


def read(ask: Ask, left: Left) -> Seen:
    """Call the whole command one test, named after its target."""
    outcome = TestOutcome.PASSED if left.code == 0 else TestOutcome.FAILED
    said = [excerpt("\n".join(lines), _SHOWN) for lines in (left.lines(), left.errors()) if lines]
    message = "" if left.code == 0 else "\n".join([f"exit status {left.code}:", *said])
    reason = None if left.code == 0 else Reason("exit status", str(left.code))
    return Seen(
        tests={
            f"{ask.target.name}::all": TestCase(outcome=outcome, message=message, reason=reason)
        },
        weak=True,
    )
