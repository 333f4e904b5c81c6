"""What the module of a test runner does: make a command line that writes a report, and read it."""

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

TEXT_MAX_CHARACTERS = 8000
"""How much of a failure's text is kept."""

PROBE = Path(__file__).parents[1] / "probe"

_VENDORED = frozenset({"node_modules", ".venv", "site-packages"})
_KEPT_WHEN_UNCOLLECTED = {FailureCause.MISSING_NAME, FailureCause.MISSING_PACKAGE}


class TestRequest(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Which tests to run, and where.

    `paths` are all files of the tree, and `read` returns the content of one. `only` names test
    files; empty means all. `root` is the checkout, `folder` is for reports, and `canary` is part of
    the name of the test that must fail.
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
        """The file that the runner writes its report to."""
        return self.folder / "report"

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the target's test command."""
        return tuple(words_of(self.target.test.command))

    @cached_property
    def _roots(self) -> tuple[str, ...]:
        # Runners print either form if a folder above is a link, as /tmp is on macOS.
        return f"{self.root}/", f"{self.root.resolve()}/"

    @cached_property
    def _known_paths(self) -> frozenset[str]:
        return frozenset(self.paths)

    def tests(self) -> list[str]:
        """List the files of the tree that are the target's tests."""
        return [path for path in self.paths if globs.matches_any(self.target.tests, path)]

    def local(self, path: str) -> str:
        """Return a file of the tree relative to the folder that the command runs in."""
        return path.removeprefix(f"{self.target.folder}/") if self.target.folder else path

    def from_root(self, path: str) -> str:
        """Return a file relative to the root of the tree.

        `path` is absolute, or relative to the folder that the command runs in.
        """
        for root in self._roots:
            if path.startswith(root):
                return path.removeprefix(root)
        return (
            str(PurePosixPath(self.target.folder) / path)
            if self.target.folder
            else path.removeprefix("./")
        )

    def own_file(self, name: str) -> str:
        """Return the file of the tree that a trace or a compiler names, from the root; else "".

        A relative name may start at any folder above the command's own: rustc prints paths from the
        root of the workspace. Third-party packages inside the tree are not the project's own.
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
    """A command line, its environment variables, and files to add to the checkout for this run.

    `import_env` are variables without which the tests would not find the source; the person's own
    command gets them too.
    """

    argv: tuple[str, ...]
    env: dict[str, str] = {}
    import_env: dict[str, str] = {}
    files: dict[str, str] = {}


class RunOutput(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a run besides its report: exit status, output, and an excerpt for messages."""

    code: int
    stdout: Path
    stderr: Path
    excerpt: str

    def lines(self) -> list[str]:
        """Return the lines of stdout."""
        return _lines(self.stdout)

    def errors(self) -> list[str]:
        """Return the lines of stderr."""
        return _lines(self.stderr)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


class TestRunner(Protocol):
    """The module of a runner: two functions."""

    def command_line(self, request: TestRequest) -> TestCommandLine:
        """Return the command line; has no effects."""

    def read(self, request: TestRequest, output: RunOutput) -> TestReport:
        """Read the results of a run. Never raises: an unreadable report is `unreadable`."""


def index_after(words: Sequence[str], word: str) -> int:
    """Return the index after `word`, or the length of `words` if it is not one of them."""
    return words.index(word) + 1 if word in words else len(words)


def no_report(exc: Exception, output: RunOutput) -> TestReport:
    """Return a report which says that the runner left none."""
    what = f"the tests left no report ({type(exc).__name__}), exit status {output.code}"
    return TestReport(unreadable=f"{what}: {output.excerpt}")


def uncollected(reason: FailureReason) -> FailureReason:
    """Return why a whole file could not be loaded, from the reason that stopped it.

    A missing name or package stays one, because the change may add it.
    """
    if reason.cause in _KEPT_WHEN_UNCOLLECTED:
        return reason
    return msgspec.structs.replace(reason, cause=FailureCause.NOT_COLLECTED)


def skipped(text: str, file: str, what: str = "skipped") -> FailureReason:
    """Return the reason for a skipped test; `text` is the message, if there is one."""
    return FailureReason(cause=FailureCause.SKIPPED, what=what, text=text.strip()[:500], file=file)
