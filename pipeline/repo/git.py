"""The one way to run git: absolute folder, clean environment, no hooks, errors with the command.

Every call starts from an empty environment, so that a `GIT_DIR` set by a hook or the person's
configuration cannot redirect it; hooks, background maintenance and prompts are off.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.core.excerpt import excerpt
from pipeline.errors import Problem, UsageProblem, of_git

TIMEOUT_S = 300.0
_SAFE_OPTIONS = (
    "-c", "core.hooksPath=/dev/null",
    # A program named here runs at every `git status`.
    "-c", "core.fsmonitor=false",
    # A `gc --prune=now` while runs commit loses objects that no ref points to yet.
    "-c", "gc.auto=0",
    "-c", "maintenance.auto=false",
    # The `ext::` transport runs any command that a remote's address names.
    "-c", "protocol.ext.allow=never",
    # Only the run's own branch may be pushed, whatever the person has configured.
    "-c", "push.followTags=false",
    "-c", "push.recurseSubmodules=no",
    # Otherwise names outside ASCII come back quoted where there is no `-z`.
    "-c", "core.quotePath=false",
    "-c", "advice.detachedHead=false",
)  # fmt: skip


class GitError(Problem):
    """A git command failed; holds its exit status and what it wrote to stderr."""

    def __init__(self, arguments: Sequence[str], status: int, stderr: str) -> None:
        """Show an excerpt of git's own message."""
        self.status = status
        self.stderr = stderr
        command = " ".join(arguments)
        super().__init__(f"git {command} failed with status {status}: {excerpt(stderr)}")


class Git:
    """Git on one repository folder, with one environment. Calls may run in any thread."""

    def __init__(
        self, folder: Path, *, env: Mapping[str, str] | None = None, options: Sequence[str] = ()
    ) -> None:
        """`folder` must exist at every call.

        `env` is added to a minimal environment, never to that of this process; an empty value
        removes a variable from it.
        """
        self.folder = folder
        self._env = {name: value for name, value in {**_base_env(), **(env or {})}.items() if value}
        self._options = tuple(options)

    def __call__(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        ok: Sequence[int] = (0,),
    ) -> str:
        """Run git and return stdout as text without the last newline.

        Raises `GitError` unless the exit status is in `ok`.
        """
        text = self.run(*arguments, stdin=stdin, env=env, ok=ok).stdout.decode(
            "utf-8", "surrogateescape"
        )
        return text.removesuffix("\n")

    def raw(
        self, *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None
    ) -> bytes:
        """Run git and return stdout as bytes. Raises `GitError` on failure."""
        return self.run(*arguments, stdin=stdin, env=env).stdout

    def succeeds(self, *arguments: str, env: Mapping[str, str] | None = None) -> bool:
        """Run git and return whether it succeeded."""
        return self.run(*arguments, env=env, ok=range(256)).returncode == 0

    def run(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        ok: Sequence[int] = (0,),
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run one git command, in a process group of its own so that Ctrl-C does not reach it.

        Raises `GitError`, also when it takes longer than `TIMEOUT_S`, and `UsageProblem` if git is
        not installed.
        """
        if not self.folder.is_dir():
            raise GitError(arguments, 128, f"the folder {self.folder} does not exist")
        command = ["git", *_SAFE_OPTIONS, *self._options, *arguments]
        try:
            done = subprocess.run(  # noqa: TID251 - this is the home of git calls
                command,
                cwd=self.folder,
                env={**self._env, **(env or {})},
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
                process_group=0,
            )
        except subprocess.TimeoutExpired as exc:
            raise GitError(arguments, 124, f"no answer after {TIMEOUT_S:g} s") from exc
        except FileNotFoundError as exc:
            raise UsageProblem("git is not on the PATH", "Install git 2.39 or newer") from exc
        if done.returncode not in ok:
            stderr = done.stderr.decode("utf-8", "replace")
            raise of_git(stderr) or GitError(arguments, done.returncode, stderr)
        return done


def _base_env() -> dict[str, str]:
    """Return the environment that every git call starts from."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),  # noqa: TID251 - the person's own git is meant
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        # `git status` refreshes the index and takes its lock for that, which a command of the
        # person's at the same moment would fail on.
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": "true",
        "GIT_ASKPASS": "true",
        # refs/replace/* would let one object stand for another under the same id.
        "GIT_NO_REPLACE_OBJECTS": "1",
    }
