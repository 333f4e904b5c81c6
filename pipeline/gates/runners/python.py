"""pytest: JUnit for the outcomes, a plugin of ours for the reasons, the origins and the canary.

The roots of the target's source go in front of the import path, so that an editable install that
points elsewhere (the person's own checkout, most often) does not decide what is tested.
"""

import os
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from pipeline.gates.runners.base import PROBE, Ask, Call, Left, no_report
from pipeline.gates.runners.junit import cases
from pipeline.gates.testrun import Reason, Seen, TestCase
from pipeline.language import globs
from pipeline.language.target import Target

_FLAGS = (
    "-o",
    "junit_family=xunit1",
    "--continue-on-collection-errors",
    "--maxfail=0",
    "-p",
    "no:cacheprovider",
)
_ROOTS = ("src", "lib")


class _Probe(msgspec.Struct):
    reasons: dict[str, Reason] = {}
    origins: dict[str, str] = {}
    root: str = ""


def call(ask: Ask) -> Call:
    """Add the report and the plugin to the target's command."""
    only = tuple(ask.local(path) for path in ask.only)
    roots = import_roots(ask.paths, ask.target)
    return Call(
        argv=(*ask.words, *only, f"--junitxml={ask.report}", *_FLAGS, "-p", "idea_to_pr_probe"),
        env={
            "PYTHONPATH": os.pathsep.join([str(PROBE), *(str(ask.root / root) for root in roots)]),
            "IDEA_TO_PR_CANARY": ask.canary,
            "IDEA_TO_PR_PROBE": str(_probe_file(ask)),
            "IDEA_TO_PR_WATCH": ",".join(sorted(own_names(ask.paths, ask.target))),
        },
    )


def read(ask: Ask, left: Left) -> Seen:
    """Put report and probe together."""
    probe = _read_probe(_probe_file(ask))
    top = Path(probe.root) if probe.root else ask.root / ask.target.folder

    def from_root(path: str) -> str:
        return ask.from_root(os.path.normpath(top / path))

    reasons = {
        name: msgspec.structs.replace(reason, file=from_root(reason.file) if reason.file else "")
        for name, reason in probe.reasons.items()
    }
    try:
        tests = cases(ask.report, reasons, from_root)
    except (OSError, ET.ParseError) as exc:
        return no_report(exc, left)
    broken = {
        name
        for name, reason in reasons.items()
        if ask.canary not in name and _is_file(name, reason, tests)
    }
    blocked = []
    for name in broken:
        tests.pop(name, None)
        blocked.append(_module_of(name))
    uncollected = {reasons[name].file or name: reasons[name] for name in broken}
    inside = "" if from_root("x") == "x" else from_root("x").removesuffix("x")
    return Seen(
        tests={f"{inside}{name}": case for name, case in tests.items()},
        uncollected=uncollected,
        blocked=tuple(f"{inside}{name}" for name in blocked),
        origins=probe.origins,
    )


def import_roots(paths: Iterable[str], target: Target) -> list[str]:
    """List the folders that the target's own packages are imported from, `.` for the root of the tree.

    That is a folder called `src` or `lib` without an `__init__.py`, else the first folder above that is no package.
    """
    known = set(paths)
    found: dict[str, None] = {}
    for path in known:
        if path.endswith(".py") and globs.matches_any(target.source, path):
            found[_root_of(PurePosixPath(path), known)] = None
    return sorted(found, key=lambda root: (root == ".", root))


def _root_of(path: PurePosixPath, known: set[str]) -> str:
    for number, part in enumerate(path.parts[:-1]):
        folder = "/".join(path.parts[: number + 1])
        if part in _ROOTS and f"{folder}/__init__.py" not in known:
            return folder
    folder_path = path.parent
    while str(folder_path) != "." and f"{folder_path}/__init__.py" in known:
        folder_path = folder_path.parent
    return str(folder_path)


def own_names(paths: Iterable[str], target: Target) -> set[str]:
    """Name the top-level packages and modules that a target's source globs hold."""
    known = set(paths)
    names: set[str] = set()
    for path in known:
        if path.endswith(".py") and globs.matches_any(target.source, path):
            root = _root_of(PurePosixPath(path), known)
            inside = path if root == "." else path.removeprefix(root + "/")
            names.add(inside.partition("/")[0].removesuffix(".py"))
    return names - {"setup", "conftest", "noxfile"}


def _probe_file(ask: Ask) -> Path:
    return ask.folder / "probe.json"


def _module_of(name: str) -> str:
    """Return what the names of all tests of a file begin with.

    `tests.test_x`, from a collector's `::tests.test_x`.
    """
    owner, _, own = name.partition("::")
    return owner or own


def _is_file(name: str, reason: Reason, tests: Mapping[str, TestCase]) -> bool:
    """Tell a file that could not be collected from a test that failed."""
    case = tests.get(name)
    is_module = name.startswith("::") or (case is not None and case.message == "collection failure")
    return bool(reason.file) and (is_module or case is None)


def _read_probe(path: Path) -> _Probe:
    merged = _Probe()
    for part in sorted(path.parent.glob(path.name + "*")):
        try:
            one = msgspec.json.decode(part.read_bytes(), type=_Probe)
        except (OSError, msgspec.DecodeError):
            continue
        merged.reasons.update(one.reasons)
        merged.origins.update(one.origins)
        merged.root = one.root or merged.root
    return merged
