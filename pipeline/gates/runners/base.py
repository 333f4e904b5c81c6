"""What a test runner's module does.

Make the command line that leaves a report, and read the report.
"""

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

import msgspec

from pipeline.gates.testrun import Seen
from pipeline.language import globs
from pipeline.language.runners import words_of
from pipeline.language.target import Target

PROBE = Path(__file__).parents[1] / "probe"


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Which tests are to be run, and where.

    `paths` are all files of the tree, `read` returns one; `only` names test files, none means all.
    `root` is the checkout, `folder` the place for reports; `canary` is a word that names the test
    that must fail.
    """

    target: Target
    paths: Sequence[str]
    read: Callable[[str], bytes | None]
    only: tuple[str, ...]
    root: Path
    folder: Path
    canary: str

    @property
    def report(self) -> Path:
        """The file that the runner writes."""
        return self.folder / "report"

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the target's test command."""
        return tuple(words_of(self.target.test.command))

    def tests(self) -> list[str]:
        """List the files of the tree that are the target's tests."""
        return [path for path in self.paths if globs.matches_any(self.target.tests, path)]

    def local(self, path: str) -> str:
        """Name a file of the tree as seen from the folder that the command runs in."""
        return path.removeprefix(f"{self.target.folder}/") if self.target.folder else path

    def from_root(self, path: str) -> str:
        """Name a file as seen from the root of the tree.

        `path` is absolute, or as the command sees it.
        """
        for top in (str(self.root), str(self.root.resolve())):
            if path.startswith(top + "/"):
                return path.removeprefix(top + "/")
        return (
            str(PurePosixPath(self.target.folder) / path)
            if self.target.folder
            else path.removeprefix("./")
        )


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A command line with what it needs.

    Variables, and files that are put into the checkout for this one run.
    """

    argv: tuple[str, ...]
    env: dict[str, str] = {}
    files: dict[str, str] = {}


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What a run left besides its report.

    Exit status, all output, and the gist of it for messages.
    """

    code: int
    stdout: Path
    stderr: Path
    gist: str

    def lines(self) -> list[str]:
        """Return all that was printed to stdout, as lines."""
        return _lines(self.stdout)

    def errors(self) -> list[str]:
        """Return all that was printed to stderr, as lines."""
        return _lines(self.stderr)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


class TestRunner(Protocol):
    """A runner's module: two functions."""

    def call(self, ask: Ask) -> Call:
        """Make the command line. Does nothing else."""

    def read(self, ask: Ask, left: Left) -> Seen:
        """Read what the run left. Raises nothing: an unreadable report is what is seen then."""


def after(words: Sequence[str], word: str) -> int:
    """Return where the words after `word` begin; the end, when it is not among them."""
    return words.index(word) + 1 if word in words else len(words)


def no_report(exc: Exception, left: Left) -> Seen:
    """Say that there is no report to read."""
    what = f"the tests left no report ({type(exc).__name__}), exit status {left.code}"
    return Seen(unreadable=f"{what}: {left.gist}")
