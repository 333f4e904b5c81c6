"""Every error that a person can get: what happened, a hint, the exit code.

Problem
├── UsageProblem       2    the command, the flow file or the configuration is wrong
├── WorkFailed         1    the work was done and did not succeed
├── NeedsPerson        3    a person has to decide before it can go on
├── NoCredentials      4    a remote or a service rejected our credentials
├── NothingToDo        5    there is nothing to do
├── Busy              75    another process uses what is needed; try again
├── Interrupted      130    stopped by Ctrl-C or a signal
└── InternalError    101    a bug in this program, or a damaged file of its own
"""

from typing import ClassVar


class Problem(Exception):  # noqa: N818 - people read the names of its subclasses
    """What happened, in one sentence, and a hint: the next command, or the line to change."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, hint: str = "") -> None:
        """Keep both sentences, so that they can be shown apart."""
        super().__init__(what if not hint else f"{what}\n{hint}")
        self.what = what
        self.hint = hint


class WorkFailed(Problem):
    """The work was done and did not succeed."""

    exit_code = 1


class UsageProblem(Problem):
    """The command, the flow, the configuration or the repository has to be changed first."""

    exit_code = 2


class NeedsPerson(Problem):
    """A person has to decide before it can go on."""

    exit_code = 3


class NoCredentials(Problem):
    """A remote or a service rejected our credentials, or asks for a sign-in."""

    exit_code = 4


class NothingToDo(Problem):
    """There is nothing to do."""

    exit_code = 5


class Busy(Problem):
    """Another process uses what is needed; the same command may work later."""

    exit_code = 75


class Interrupted(Problem):
    """Stopped by Ctrl-C or a signal; finished work is kept."""

    exit_code = 130


class InternalError(Problem):
    """A bug in this program, or a damaged file of its own."""

    exit_code = 101
