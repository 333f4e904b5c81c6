"""The faults as data: one file for each part of the code, read and held against the code.

Each entry of a `*.toml` file here is one small change: `file` has `old`, exactly once, and `new` in
its place is wrong. `test` notices it (a pytest node id), or `unnoticed` says why nothing can.
"""

import ast
import functools
import tomllib
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault: what it is in a line, where it is put in, and the test that notices it."""

    id: str
    what: str
    file: str
    old: str
    new: str
    test: str = ""
    unnoticed: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    fault: tuple[Fault, ...]


def parts() -> dict[str, tuple[Fault, ...]]:
    """Return all faults by the title of their part, in order."""
    files = [
        msgspec.convert(tomllib.loads(path.read_text()), type=_File)
        for path in sorted(FOLDER.glob("*.toml"))
    ]
    return {file.title: file.fault for file in files}


def every_fault() -> list[Fault]:
    """Return all faults in the order of the table."""
    return [fault for faults in parts().values() for fault in faults]


def with_fault(fault: Fault, root: Path = ROOT) -> str:
    """Return the text of the fault's file with the fault in it.

    Raises `ValueError` when the old text does not stand there exactly once.
    """
    text = (root / fault.file).read_text()
    if (count := text.count(fault.old)) != 1:
        raise ValueError(f"{fault.id}: its old text stands {count} times in {fault.file}")
    return text.replace(fault.old, fault.new)


def stale(fault: Fault, root: Path = ROOT) -> str:
    """Say what of a fault no longer fits the code; empty when all does."""
    if bool(fault.test) == bool(fault.unnoticed):
        return f"{fault.id}: it needs either a test, or a reason why none can notice it"
    try:
        ast.parse(with_fault(fault, root))
    except (OSError, ValueError, SyntaxError) as exc:
        return f"{fault.id}: {exc}"
    if fault.test and not _is_test(fault.test, root):
        return f"{fault.id}: there is no test {fault.test}"
    return ""


def _is_test(node_id: str, root: Path) -> bool:
    name, _, function = node_id.partition("::")
    path = root / name
    return path.is_file() and function.partition("[")[0] in _functions(path)


@functools.cache
def _functions(path: Path) -> frozenset[str]:
    """Name the functions of a test file, which many faults share."""
    body = ast.parse(path.read_text()).body
    return frozenset(node.name for node in body if isinstance(node, ast.FunctionDef))
