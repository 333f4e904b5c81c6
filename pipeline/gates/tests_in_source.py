"""Old tests that stand in source files: the developer may add to them, and not rewrite them.

Unit tests of Rust in `src`, tests that a runner reported of a source file, examples in docstrings
where the test command runs them, and snapshots beside the source. What moves to another source file
as it is has not changed.
"""

import ast
import doctest
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from pipeline.gates.delivery import is_named
from pipeline.gates.functions import functions_in, reported_in
from pipeline.language.schemas import TestDelivery

_GLOB = re.compile(r"--doctest-glob[=\s\"',]+([^\s\"',\]]+)")
_SNAPSHOT = re.compile(
    r"^exports\[`(?P<name>.+?)`\] = `(?P<body>.*?)(?<!\\)`;$", re.MULTILINE | re.DOTALL
)
_COUNT = re.compile(r" \d+$")


class _OldTest(msgspec.Struct, frozen=True, kw_only=True):
    """A test in a source file: its name there, what it says, and what to call it in a message."""

    file: str
    name: str
    body: str
    what: str


def rewritten_in_source(
    texts: Mapping[str, tuple[str, str]],
    reported: Mapping[str, str],
    delivery: TestDelivery,
    doctest_options: str,
) -> list[str]:
    """Return messages about old tests in source files that are gone or say something else.

    `texts` are the changed source files as they were delivered and as they are, `reported` the
    tests of the base with their files. `doctest_options` is all text that may ask for doctests.
    """
    runs_doctests = _doctest_files(doctest_options)
    old = [
        one
        for path, (before, _) in texts.items()
        for one in _tests(path, before, reported, runs_doctests)
    ]
    new = {
        (one.name, one.body)
        for path, (_, after) in texts.items()
        for one in _tests(path, after, reported, runs_doctests)
    }
    removed = [one.name for one in delivery.removed]
    return [
        f"{one.file}: {one.what} {one.name} was rewritten or removed; old tests stay as they are, "
        "also in the source, unless tests.json names them (removed)"
        for one in old
        if (one.name, one.body) not in new
        and not any(
            is_named(name, one.file, _COUNT.sub("", one.name), reported) for name in removed
        )
    ]


def _tests(
    path: str,
    text: str,
    reported: Mapping[str, str],
    runs_doctests: Callable[[str], bool],
) -> Iterator[_OldTest]:
    if path.endswith(".snap"):
        for name, body in _snapshots(text):
            yield _OldTest(file=path, name=name, body=body, what="the snapshot")
        return
    known = reported_in(path, (name for name, file in reported.items() if file == path))
    for one in functions_in(path, text, known.__contains__):
        # In Python a function of the product may be called test_...; only reports tell.
        if not path.endswith(".py") or one.name in known:
            yield _OldTest(file=path, name=one.name, body=one.body, what="the old test")
    if runs_doctests(path):
        for name, body in _doctests(path, text):
            yield _OldTest(file=path, name=name, body=body, what="the example in the docstring of")


def _snapshots(text: str) -> Iterable[tuple[str, str]]:
    """Return the snapshots of a file: Jest's and Vitest's one by one, others as a whole."""
    found = [(match["name"], match["body"]) for match in _SNAPSHOT.finditer(text)]
    return found or ([("of the whole file", text)] if text else [])


def _doctest_files(options: str) -> Callable[[str], bool]:
    """Return which files' examples the test command runs."""
    is_modules = "--doctest-modules" in options
    endings = tuple(glob.lstrip("*") for glob in _GLOB.findall(options))
    return lambda path: (
        (is_modules and path.endswith(".py")) or (bool(endings) and path.endswith(endings))
    )


def _doctests(path: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield each example of a file, by the function or class that it stands in."""
    for name, words in _docstrings(path, text):
        try:
            examples = doctest.DocTestParser().get_examples(words)
        except ValueError:
            yield name, words
            continue
        for example in examples:
            yield name, f"{example.source}{example.want}{sorted(example.options.items())}"


def _docstrings(path: str, text: str) -> Iterator[tuple[str, str]]:
    if not path.endswith(".py"):
        yield path.rpartition("/")[2], text
        return
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, ast.get_docstring(node) or ""
    yield "the module", ast.get_docstring(tree) or ""
