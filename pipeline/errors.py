"""Every error a person can meet: what happened, the hint, the exit code.

Problem
├── UsageProblem       2    the command, the flow file or the configuration is wrong
├── WorkFailed         1    the work was done and did not succeed
├── NeedsPerson        3    a person has to decide before it can go on
├── NoCredentials      4    a remote or a service does not take who we are
├── NothingToDo        5    there is nothing to do
├── Busy              75    somebody else holds what is needed; try again
├── Interrupted      130    stopped by Ctrl-C or a signal
└── InternalError    101    our own fault, or a damaged file of ours
"""

from typing import ClassVar


class Problem(Exception):  # noqa: N818 - what a person meets is a problem, not our error
    """What happened, in one sentence, and the hint: the next command or the line to change."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, hint: str = "") -> None:
        """Keep both sentences apart, so that a reader can set them apart too."""
        super().__init__(what if not hint else f"{what}\n{hint}")
        self.what = what
        self.hint = hint


class WorkFailed(Problem):
    """The work was done and did not succeed."""

    exit_code = 1


class UsageProblem(Problem):
    """The command, the flow file or the configuration is wrong; nothing was started."""

    exit_code = 2


class NeedsPerson(Problem):
    """A person has to decide before it can go on."""

    exit_code = 3


class NoCredentials(Problem):
    """A remote or a service does not take who we are, or asks for a sign-in."""

    exit_code = 4


class NothingToDo(Problem):
    """There is nothing to do."""

    exit_code = 5


class Busy(Problem):
    """Somebody else holds what is needed; the same command may work later."""

    exit_code = 75


class Interrupted(Problem):
    """Stopped by Ctrl-C or a signal; what was done is kept."""

    exit_code = 130


class InternalError(Problem):
    """Our own fault, or a file of ours that is damaged."""

    exit_code = 101
