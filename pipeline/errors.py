"""Every error that a person can get: what happened, a hint, the exit code.

Problem
├── UsageProblem       2    the command, the flow file or the configuration is wrong
├── WorkFailed         1    the work was done and did not succeed
├── NeedsPerson        3    a person has to decide before it can go on
├── NoCredentials      4    a remote or a service rejected our credentials
├── NothingToDo        5    there is nothing to do
├── Busy              75    another process uses what is needed; try again
│   └── NoStorage     75    a disk is full, read-only or failing; go on once it is not
├── Interrupted      130    stopped by Ctrl-C or a signal
└── InternalError    101    a bug in this program, or a damaged file of its own
"""

import errno
from typing import ClassVar

_STORAGE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG}
_MISTAKEN = {
    errno.ENOTDIR: "it is no folder, or a part of its path is a file",
    errno.EISDIR: "it is a folder",
    errno.EEXIST: "something else is there",
    errno.EACCES: "this user may not do that",
    errno.EPERM: "this user may not do that",
    errno.ELOOP: "it is a link, or links go in a circle",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENOTEMPTY: "it is not empty",
    errno.EXDEV: "it lies on another file system",
}
_GIT_STORAGE = (
    "No space left on device", "Disk quota exceeded", "Read-only file system",
    "Input/output error", "File too large",
)  # fmt: skip


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


class NoStorage(Busy):
    """A disk is full, read-only or failing; everything finished is kept."""


class Interrupted(Problem):
    """Stopped by Ctrl-C or a signal; finished work is kept."""

    exit_code = 130


class InternalError(Problem):
    """A bug in this program, or a damaged file of its own."""

    exit_code = 101


def of_system(exc: OSError) -> Problem | None:
    """Return the problem that an error of the operating system is; None for one of this program."""
    where = str(exc.filename) if exc.filename is not None else "a file of the run"
    if exc.errno in _STORAGE:
        return NoStorage(
            f"{where} cannot be written: {exc.strerror}",
            "Everything finished is kept. Make room or mend the disk, then: pipeline resume",
        )
    if exc.errno in _MISTAKEN:
        return UsageProblem(
            f"{where} cannot be used ({exc.strerror}): {_MISTAKEN[exc.errno]}",
            f"Look at it: ls -ld {where}",
        )
    return None


def of_storage(exc: Exception) -> NoStorage | None:
    """Return the problem of a disk that an exception tells of, whichever way; else None."""
    if isinstance(exc, NoStorage):
        return exc
    problem = of_system(exc) if isinstance(exc, OSError) else None
    return problem if isinstance(problem, NoStorage) else None


def of_git(stderr: str) -> NoStorage | None:
    """Return the problem of a git command that a disk has kept from its work, else None."""
    line = next((line for line in stderr.splitlines() if any(w in line for w in _GIT_STORAGE)), "")
    if not line:
        return None
    return NoStorage(
        f"git cannot write: {line.strip()}",
        "Everything finished is kept. Make room or mend the disk, then: pipeline resume",
    )
