"""A small test runner for journeys that are not about tests: pytest takes half a second to start.

`quick_tests.py REPORT` runs the functions `test_*` of `tests/**/test_*.py` in the current folder,
with `src` on the import path, and writes a JUnit report. Of pytest it knows fixtures of the same
file and `raises`.
"""

import ast
import contextlib
import inspect
import re
import sys
import traceback
import types
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


class _Caught:
    value: BaseException


@contextlib.contextmanager
def raises(kind: type[BaseException], match: str = "") -> Iterator[_Caught]:
    """Require an exception of this kind, whose text matches the pattern."""
    caught = _Caught()
    try:
        yield caught
    except kind as exc:
        caught.value = exc
        if not re.search(match, str(exc)):
            raise AssertionError(f"{exc} does not match {match}") from exc
        return
    raise AssertionError(f"did not raise {kind.__name__}")


def fixture(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function as a fixture."""
    function.is_fixture = True  # type: ignore[attr-defined]
    return function


def _value(module: types.ModuleType, made: dict[str, Any], name: str) -> Any:
    if name not in made:
        made[name] = _call(module, made, getattr(module, name))
    return made[name]


def _call(module: types.ModuleType, made: dict[str, Any], function: Callable[..., Any]) -> Any:
    names = inspect.signature(function).parameters
    return function(**{name: _value(module, made, name) for name in names})


def _load(path: Path) -> types.ModuleType | str:
    """Return the file as a module, or why it cannot be loaded."""
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
    except Exception:  # noqa: BLE001 - whatever a test does is its result
        return f"{path} cannot be loaded: {traceback.format_exc()}"
    return module


def _run(path: Path) -> Iterator[tuple[str, str]]:
    """Yield every test of a file with how it failed; an empty text for one that passed."""
    module = _load(path)
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        if isinstance(module, str):
            yield node.name, module
            continue
        try:
            _call(module, {}, getattr(module, node.name))
        except Exception:  # noqa: BLE001 - whatever a test does is its result
            yield node.name, traceback.format_exc()
        else:
            yield node.name, ""


def main(report: str) -> int:
    """Run all tests; return 1 if one of them failed."""
    sys.path.insert(0, str(Path.cwd() / "src"))
    sys.dont_write_bytecode = True
    stand_in = types.ModuleType("pytest")
    stand_in.raises, stand_in.fixture = raises, fixture  # type: ignore[attr-defined]
    sys.modules["pytest"] = stand_in
    suite = ET.Element("testsuite")
    for path in sorted(Path("tests").rglob("test_*.py")):
        for name, text in _run(path):
            classname = ".".join(path.with_suffix("").parts)
            case = ET.SubElement(suite, "testcase", classname=classname, name=name, file=str(path))
            if text:
                message = text.strip().splitlines()[-1]
                ET.SubElement(case, "failure", type="AssertionError", message=message).text = text
    ET.ElementTree(suite).write(report)
    failed = len(suite.findall("testcase/failure"))
    print(f"{len(suite)} tests, {failed} failed")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
