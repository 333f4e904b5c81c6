"""Test functions in the text of test files: their names and bodies, without running anything.

Names of tests come from reports wherever there is one. The text is read where a file cannot be
loaded yet, so that its tests are known when it is delivered, and to see whether an old test was
rewritten. Python is parsed; in other languages a test is found by its usual form and ends with its
braces.
"""

import ast
import re
from collections.abc import Iterator
from typing import TypeGuard

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_JS = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts")
_FORMS = {
    ".go": re.compile(r"^func (?P<name>(?:Test|Fuzz|Example)\w*)\(", re.MULTILINE),
    ".rs": re.compile(
        r"#\[(?:\w+::)*test[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:pub )?(?:async )?fn (?P<name>\w+)"
    ),
    **dict.fromkeys(
        _JS,
        re.compile(
            r"(?<![\w.$])(?:it|test)(?:\.(?:only|concurrent|each\([^)]*\)))*"
            r"\(\s*(?P<quote>['\"`])(?P<name>(?:\\.|(?!(?P=quote)).)+)(?P=quote)"
        ),
    ),
}
_PARAMETERS = re.compile(r"\[.*\]$", re.DOTALL)


def functions_in(path: str, text: str) -> dict[str, str]:
    """Return the tests in a file's text: name -> body; empty for a language that is not known.

    The same body means the same test; comments and the layout of Python do not count.
    """
    if path.endswith(".py"):
        return dict(_python(text))
    form = _FORMS.get(path[path.rfind(".") :]) if "." in path else None
    if form is None:
        return {}
    return {
        match["name"]: _block(text, match.start(), match.end()) for match in form.finditer(text)
    }


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
    if "${" in function or "%" in function:  # a title with parameters
        return True
    ends = f"::{function}", f" {function}", f".{function}"
    return plain == function or plain.replace("::", ".").endswith(ends[2]) or plain.endswith(ends)


def plain_name(name: str) -> str:
    """Return a form that is the same for `tests/test_a.py::test_b` and `tests.test_a::test_b`."""
    return name.strip().replace(".py::", "::").replace("/", ".").replace("::", ".")


def _python(text: str) -> Iterator[tuple[str, str]]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if _is_test(inner):
                    yield f"{node.name}.{inner.name}", _body(inner)
        elif _is_test(node):
            yield node.name, _body(node)


def _is_test(node: ast.stmt) -> TypeGuard[_Function]:
    return isinstance(node, _Function) and node.name.startswith("test")


def _body(function: _Function) -> str:
    """Return what a test does, without its parameters' values: those are free."""
    marks = [one for one in function.decorator_list if "parametrize" not in ast.dump(one)]
    return "".join(map(ast.dump, (*marks, *function.body)))


def _block(text: str, start: int, after_name: int) -> str:
    """Return the text from `start` to the brace that closes the first one after the name.

    Braces in strings are counted too; as both versions of a test are read alike, that is enough to
    tell whether they differ.
    """
    depth, at = 0, text.find("{", after_name)
    if at < 0:
        return text[start:]
    for index in range(at, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if not depth:
            return text[start : index + 1]
    return text[start:]
