"""Test functions in the text of test files: their names and bodies, without running anything.

Names of tests come from reports wherever there is one. The text is read where a file cannot be
loaded yet, so that its tests are known when it is delivered, and to see whether an old test was
rewritten.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline.gates.functions_in_python import python_functions
from pipeline.gates.functions_in_text import go_functions, javascript_functions, rust_functions
from pipeline.gates.reading import IsReported, TestFunction

_JS = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts")
_READERS: dict[str, Callable[[str, IsReported], Iterator[TestFunction]]] = {
    ".py": python_functions,
    ".go": go_functions,
    ".rs": rust_functions,
    **dict.fromkeys(_JS, javascript_functions),
}
_PARAMETERS = re.compile(r"\[.*\]$", re.DOTALL)
_PLACES = re.compile(r"%|\$\{|\$\w")
"""What stands for parameters in a title: `%s`, `${value}`, `$value`."""

_STARTS = re.compile(r"[. ]")


def functions_in(
    path: str, text: str, is_reported: IsReported = lambda _: False
) -> list[TestFunction]:
    """Return the tests in a file's text, in its order; none for a language that is not known.

    `is_reported` tells which names were reported as tests of the file, whatever they look like.
    """
    reader = _READERS.get(path[path.rfind(".") :]) if "." in path else None
    return list(reader(text, is_reported)) if reader is not None else []


def rewritten(old: Sequence[TestFunction], new: Sequence[TestFunction]) -> list[str]:
    """Return the names of old tests that are there still, and no longer say what they said.

    One that is there twice has to be there twice. A name that it imported and that its file makes
    itself now is another name.
    """
    there = {one.name: one for one in new}
    missing = {name for name, _ in _bodies(old) - _bodies(new)}
    names = [
        one.name
        for one in old
        if one.name in there and (one.name in missing or one.imports & there[one.name].defines)
    ]
    return list(dict.fromkeys(names))


def reported_in(file: str, names: Iterable[str]) -> frozenset[str]:
    """Return how a file's text calls the tests that were reported of it: `names`.

    In Python that is what comes after the module; a title in JavaScript may follow those of groups.
    """
    plain = [function_of(name, file).replace("::", ".") for name in names]
    if not file.endswith(".py"):
        return frozenset(
            one[at:] for one in plain for at in (0, *(m.end() for m in _STARTS.finditer(one)))
        )
    parts = file.removesuffix(".py").split("/")
    modules = [".".join(parts[at:]) + "." for at in range(len(parts))]
    found = (
        (one.replace("/", "."), module)
        for one in plain
        for module in modules
        if one.replace("/", ".").startswith(module)
    )
    return frozenset(one.removeprefix(module) for one, module in found)


def _bodies(functions: Iterable[TestFunction]) -> Counter[tuple[str, str]]:
    return Counter((one.name, one.body) for one in functions)


def function_of(name: str, file: str = "") -> str:
    """Return the test function that a reported test is a case of; parameters are free."""
    if file.endswith(".go"):
        owner, _, own = name.rpartition("::")
        return f"{owner}::{own.partition('/')[0]}"
    if file.endswith(_JS):
        return name
    return _PARAMETERS.sub("", name)


def is_function(reported: str, file: str, function: str) -> bool:
    """Return whether a reported test is a case of a function that was read from a file's text."""
    plain = function_of(reported, file)
    if _PLACES.search(function):
        return True
    ends = f"::{function}", f" {function}", f".{function}"
    return plain == function or plain.replace("::", ".").endswith(ends[2]) or plain.endswith(ends)


def plain_name(name: str) -> str:
    """Return a form that is the same for `tests/test_a.py::test_b` and `tests.test_a::test_b`."""
    return name.strip().replace(".py::", "::").replace("/", ".").replace("::", ".")
