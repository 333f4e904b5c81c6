"""pytest: JUnit for outcomes, a plugin of ours for reasons, origins and canaries.

The roots of the target's source go in front of the import path, so that an editable install that
points elsewhere (most often to the person's own checkout) does not decide what is tested.
"""

import os
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from pipeline.core.evidence import FailureCause
from pipeline.gates.runners.base import (
    PROBE,
    RunOutput,
    TestCommandLine,
    TestRequest,
    no_report,
    uncollected,
)
from pipeline.gates.runners.junit import cases
from pipeline.gates.testrun import FailureReason, MissingName, TestReport
from pipeline.language import globs
from pipeline.language.target import Target

_FLAGS = (
    *("-o", "junit_family=xunit1"),  # xunit2, the default since pytest 6, leaves out `file`
    "--continue-on-collection-errors",
    "--maxfail=0",  # takes back a `-x` in the project's own options
)
_ROOTS = ("src", "lib")
_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "pytest.ini")
_NO_SOURCE = {"setup", "conftest", "noxfile"}
_OWN_ERRORS = {3, 4}
"""Exit statuses of pytest for an error of its own, and for options that it does not know."""


class ProbedFailure(msgspec.Struct):
    """What a probe recorded of one failure.

    `cause` is None for an exception that is neither an assertion nor about a missing name. `trace`
    are the files it passed through, the innermost first. `collecting` is true if not a test failed,
    but the loading of a file.
    """

    what: str
    text: str
    cause: FailureCause | None
    missing: MissingName | None
    trace: tuple[str, ...]
    file: str
    collecting: bool


class _Probe(msgspec.Struct):
    failures: dict[str, ProbedFailure] = {}
    origins: dict[str, str] = {}
    root: str = ""


def command_line(request: TestRequest) -> TestCommandLine:
    """Add the report and the plugin to the target's command."""
    only = tuple(request.local(path) for path in request.only)
    roots = [str(request.root / root) for root in import_roots(request.paths, request.target)]
    return TestCommandLine(
        argv=(
            *request.words,
            *only,
            f"--junitxml={request.report}",
            *_FLAGS,
            # Not switched off, because tests may use it; in the checkout it would be litter.
            *("-o", f"cache_dir={request.folder / 'pytest_cache'}"),
            "-p",
            "idea_to_pr_probe",
        ),
        env=probe_variables(request) | {"PYTHONPATH": os.pathsep.join([str(PROBE), *roots])},
        import_env={"PYTHONPATH": os.pathsep.join(roots)},
    )


def probe_variables(request: TestRequest) -> dict[str, str]:
    """Return the variables that tell a probe what to add, to watch, and where to write."""
    return {
        "IDEA_TO_PR_CANARY": request.canary,
        "IDEA_TO_PR_PROBE": str(probe_file(request)),
        "IDEA_TO_PR_WATCH": ",".join(sorted(own_names(request.paths, request.target))),
    }


def read(request: TestRequest, output: RunOutput) -> TestReport:
    """Combine the JUnit report with what the probe recorded."""
    probe = _read_probe(probe_file(request))
    top = Path(probe.root) if probe.root else request.root / request.target.folder

    def from_root(path: str) -> str:
        return request.from_root(os.path.normpath(top / path))

    reasons = {
        name: reason_of(request, failure, from_root(failure.file) if failure.file else "")
        for name, failure in probe.failures.items()
    }
    try:
        tests = cases(request, reasons, from_root)
    except (OSError, ET.ParseError) as exc:
        return no_report(exc, output)
    if output.code in _OWN_ERRORS and not any(request.canary in name for name in tests):
        return TestReport(unreadable=f"pytest ended with {output.code}: {output.excerpt}")
    broken = [name for name, failure in probe.failures.items() if failure.collecting]
    for name in broken:
        tests.pop(name, None)
    inside = "" if from_root("x") == "x" else from_root("x").removesuffix("x")
    return TestReport(
        tests={f"{inside}{name}": case for name, case in tests.items()},
        uncollected={reasons[name].file or name: uncollected(reasons[name]) for name in broken},
        blocked=tuple(f"{inside}{_module_of(name)}" for name in broken),
        origins=own_origins(request, probe.origins),
    )


def reason_of(request: TestRequest, failure: ProbedFailure, file: str) -> FailureReason:
    """Return the reason for a failure from what a probe recorded of it."""
    raised = request.raised_in(failure.trace)
    return FailureReason(
        cause=failure.cause or raised,
        raised=raised,
        what=failure.what,
        text=failure.text,
        missing=failure.missing,
        file=file,
    )


def import_roots(paths: Iterable[str], target: Target) -> list[str]:
    """List the folders that the target's packages are imported from; `.` is the tree's root.

    That is a project's `src` or `lib` that is no package, else the first folder above the file's
    package that is none. A folder without an `__init__.py` and without a package above it is
    a namespace package of the target's folder, as Python sees it from there.
    """
    known = set(paths)
    roots = {_root_of(path, known, target.folder) for path in _modules(known, target)}
    return sorted(roots, key=lambda root: (root == ".", root))


def _modules(known: Iterable[str], target: Target) -> Iterator[PurePosixPath]:
    for path in known:
        if path.endswith(".py") and globs.matches_any(target.source, path):
            yield PurePosixPath(path)


def _root_of(path: PurePosixPath, known: set[str], folder: str) -> str:
    """Return the folder that a module is imported from."""
    package: PurePosixPath | None = None
    for above in reversed(path.parents):  # the tree's root first
        if f"{above}/__init__.py" in known:
            package = above
            break
        if above.name in _ROOTS and _is_project(above.parent, known, folder):
            return str(above)
    if package is not None:
        return str(package.parent)
    return folder if folder and path.is_relative_to(folder) else "."


def _is_project(path: PurePosixPath, known: set[str], folder: str) -> bool:
    """Return whether a folder is a project's own: `src` and `lib` are roots only there."""
    return str(path) in {".", folder} or any(str(path / name) in known for name in _PROJECT_FILES)


def own_names(paths: Iterable[str], target: Target) -> set[str]:
    """Return the top-level packages and modules that a target's source globs match.

    Tests may put a loose folder of modules on the import path themselves, so these count as well,
    unless the standard library has the name.
    """
    known = set(paths)
    loose = {
        path.stem
        for path in _modules(known, target)
        if str(path.parent) != "." and f"{path.parent}/__init__.py" not in known
    }
    names = _imported_names(known, target) | (loose - sys.stdlib_module_names)
    return names - _NO_SOURCE


def _imported_names(known: set[str], target: Target) -> set[str]:
    """Return the names that the import roots give: those have to come from the tree."""
    names: set[str] = set()
    for path in _modules(known, target):
        root = _root_of(path, known, target.folder)
        first = path.relative_to(root).parts[0]
        is_package = f"{PurePosixPath(root, first)}/__init__.py" in known
        if is_package or first.removesuffix(".py") not in sys.stdlib_module_names:
            names.add(first.removesuffix(".py"))
    return names - _NO_SOURCE


def own_origins(request: TestRequest, origins: Mapping[str, str]) -> dict[str, str]:
    """Return from where modules came; of loose modules only those that the tree has.

    Another module of such a name, from a package that is installed, is not the tree's at all.
    """
    sure = _imported_names(set(request.paths), request.target)
    top = os.path.realpath(request.root) + os.sep
    return {
        name: file
        for name, file in origins.items()
        if name.partition(".")[0] in sure or file.startswith(top)
    }


def probe_file(request: TestRequest) -> Path:
    """Return the file that a probe writes to."""
    return request.folder / "probe.json"


def _module_of(name: str) -> str:
    """Return the beginning of the names of a file's tests: `tests.test_x` for `::tests.test_x`."""
    owner, _, own = name.partition("::")
    return owner or own


def _read_probe(path: Path) -> _Probe:
    """Read what the probe wrote: one file, or one for each worker of pytest-xdist."""
    merged = _Probe()
    for part in sorted(path.parent.glob(path.name + "*")):
        try:
            one = msgspec.json.decode(part.read_bytes(), type=_Probe)
        except (OSError, msgspec.DecodeError):
            continue
        merged.failures.update(one.failures)
        merged.origins.update(one.origins)
        merged.root = one.root or merged.root
    return merged
