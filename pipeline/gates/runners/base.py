"""What every test runner's module does: make the command line that leaves a report, and read it."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from os.path import normpath
from pathlib import Path, PurePosixPath
from typing import Protocol

import msgspec

from pipeline.core.evidence import FailureCause
from pipeline.gates.testrun import FailureReason, TestReport
from pipeline.language import globs
from pipeline.language.runners import words_of
from pipeline.language.target import Target

PROBE = Path(__file__).parents[1] / "probe"

_VENDORED = frozenset({"node_modules", ".venv", "site-packages"})
_KEPT_WHEN_UNCOLLECTED = {FailureCause.MISSING_NAME, FailureCause.MISSING_PACKAGE}


class TestRequest(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Which tests are to be run, and where.

    `paths` are all files of the tree, `read` returns the content of one; `only` names test files,
    none means all. `root` is the checkout, `folder` the place for reports; `canary` is a word that
    names the test that must fail.
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

    @cached_property
    def _tops(self) -> tuple[str, ...]:
        return f"{self.root}/", f"{self.root.resolve()}/"

    @cached_property
    def _known_paths(self) -> frozenset[str]:
        return frozenset(self.paths)

    def tests(self) -> list[str]:
        """List the files of the tree that are the target's tests."""
        return [path for path in self.paths if globs.matches_any(self.target.tests, path)]

    def local(self, path: str) -> str:
        """Return a file of the tree as seen from the folder that the command runs in."""
        return path.removeprefix(f"{self.target.folder}/") if self.target.folder else path

    def from_root(self, path: str) -> str:
        """Return a file as seen from the root of the tree.

        `path` is absolute, or as the command sees it.
        """
        for top in self._tops:
            if path.startswith(top):
                return path.removeprefix(top)
        return (
            str(PurePosixPath(self.target.folder) / path)
            if self.target.folder
            else path.removeprefix("./")
        )

    def own_file(self, name: str) -> str:
        """Return the file of the tree that a trace or a compiler names, from the root; else "".

        A relative name may be seen from any folder above the command's own: rustc names files from
        the workspace's root. Third-party packages that lie in the tree are not the project's own.
        """
        above = PurePosixPath(self.target.folder).parents if self.target.folder else ()
        names = (self.from_root(name), *(str(folder / name) for folder in above))
        path = next((one for one in map(normpath, names) if one in self._known_paths), "")
        return "" if _VENDORED.intersection(path.split("/")) else path

    def raised_in(self, trace: Iterable[str]) -> FailureCause:
        """Return whether an exception was raised in the tests or in the source.

        `trace` names the files it passed through, the innermost first; the first of them that is
        the project's own decides. A file that the globs of tests and of source match is a test.
        """
        path = next(filter(None, map(self.own_file, trace)), "")
        if globs.matches_any(self.target.tests, path):
            return FailureCause.RAISED_IN_TEST
        if globs.matches_any(self.target.source, path):
            return FailureCause.RAISED_IN_SOURCE
        return FailureCause.UNKNOWN


class TestCommandLine(msgspec.Struct, frozen=True, kw_only=True):
    """A command line, its environment variables, and files that the checkout has for this run."""

    argv: tuple[str, ...]
    env: dict[str, str] = {}
    files: dict[str, str] = {}


class RunOutput(msgspec.Struct, frozen=True, kw_only=True):
    """What a run left besides its report: exit status, all output, and an excerpt for messages."""

    code: int
    stdout: Path
    stderr: Path
    excerpt: str

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

    def command_line(self, request: TestRequest) -> TestCommandLine:
        """Make the command line. Does nothing else."""

    def read(self, request: TestRequest, output: RunOutput) -> TestReport:
        """Read what the run left. Raises nothing: an unreadable report is said to be one."""


def after(words: Sequence[str], word: str) -> int:
    """Return where the words after `word` begin; the end, when it is not among them."""
    return words.index(word) + 1 if word in words else len(words)


def no_report(exc: Exception, output: RunOutput) -> TestReport:
    """Report that there is no report to read."""
    what = f"the tests left no report ({type(exc).__name__}), exit status {output.code}"
    return TestReport(unreadable=f"{what}: {output.excerpt}")


def uncollected(reason: FailureReason) -> FailureReason:
    """Return why a whole file could not be loaded, when `reason` is what stopped it.

    A missing name or package stays one: the change may bring it.
    """
    if reason.cause in _KEPT_WHEN_UNCOLLECTED:
        return reason
    return msgspec.structs.replace(reason, cause=FailureCause.NOT_COLLECTED)


def skipped(text: str, file: str, what: str = "skipped") -> FailureReason:
    """Return the reason of a test that was skipped; `text` is the message, where there is one."""
    return FailureReason(cause=FailureCause.SKIPPED, what=what, text=text.strip()[:500], file=file)
