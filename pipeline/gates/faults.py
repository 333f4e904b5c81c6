"""Single faults for Python: one small mistake in a changed function, the rest of the file as it is.

There are four kinds, each a question to the tests: would they notice if the body raised an
exception, if it returned None, if a condition were negated, if a comparison were swapped?
Conditions and comparisons are used only where the change touched them. Text is replaced by its
position in the syntax tree, so that the rest of the file keeps its formatting.
"""

import ast
import difflib
from collections.abc import Iterator

import msgspec

_SWAPPED: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
}  # fmt: skip
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: its line, what it does, and the text of the file with it."""

    line: int
    what: str
    text: str


def faults(before: str, after: str) -> list[Fault]:
    """List the faults to try for a changed file, kinds in turn; empty if it cannot be parsed."""
    try:
        tree = ast.parse(after)
    except (SyntaxError, ValueError):
        return []
    changed = changed_lines(before, after)
    kinds: list[list[Fault]] = [[], [], [], []]
    source = _SourceText(after)
    for function in _functions(tree):
        if not changed.intersection(range(function.lineno, _last_line(function) + 1)):
            continue
        for kind, fault in _faults_of(function, source, changed):
            kinds[kind].append(fault)
    return [
        kind[number]
        for number in range(max(map(len, kinds)))
        for kind in kinds
        if number < len(kind)
    ]


def changed_lines(before: str, after: str) -> set[int]:
    """Return the numbers (from 1) of the lines of `after` that `before` does not have."""
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    changed: set[int] = set()
    for tag, _, _, start, end in matcher.get_opcodes():
        if tag in {"insert", "replace"}:
            changed.update(range(start + 1, end + 1))
    return changed


def _functions(tree: ast.AST) -> Iterator[_Function]:
    for node in ast.walk(tree):
        if isinstance(node, _Function) and not _is_stub(node):
            yield node


def _is_stub(function: _Function) -> bool:
    """Return whether a function does nothing: only a docstring, `...` or `pass`."""
    return all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in function.body
    )


def _faults_of(
    function: _Function, source: "_SourceText", changed: set[int]
) -> Iterator[tuple[int, Fault]]:
    inside = list(_own_nodes(function))
    for node in inside:
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and node.lineno in changed:
            old, new = _SWAPPED[type(node.ops[0])]
            if (text := source.between(node.left, node.comparators[0], old, new)) is not None:
                yield (
                    0,
                    Fault(
                        line=node.lineno, what=f"`{old}` made `{new}` in {function.name}", text=text
                    ),
                )
    for node in inside:
        if isinstance(node, ast.If | ast.While | ast.IfExp) and node.test.lineno in changed:
            text = source.replaced(node.test, node.test, f"not ({source.text_of(node.test)})")
            yield (
                1,
                Fault(
                    line=node.test.lineno,
                    what=f"condition negated in {function.name}",
                    text=text,
                ),
            )
    body = function.body[1:] if _has_docstring(function) else function.body
    if any(isinstance(node, ast.Return) and node.value is not None for node in inside):
        text = source.replaced(body[0], body[-1], "return None")
        yield 2, Fault(line=function.lineno, what=f"{function.name} returns nothing", text=text)
    text = source.replaced(body[0], body[-1], 'raise RuntimeError("a fault put in on purpose")')
    yield 3, Fault(line=function.lineno, what=f"{function.name} raises", text=text)


def _own_nodes(function: _Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body, without those of functions and classes inside it."""
    waiting: list[ast.AST] = list(reversed(function.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, _Function | ast.ClassDef | ast.Lambda):
            continue
        yield node
        waiting.extend(reversed(list(ast.iter_child_nodes(node))))


def _has_docstring(function: _Function) -> bool:
    return len(function.body) > 1 and ast.get_docstring(function, clean=False) is not None


def _last_line(function: _Function) -> int:
    return function.end_lineno or function.lineno


class _SourceText:
    """The text of a file, addressed by nodes of its syntax tree.

    The columns of `ast` count bytes of UTF-8, not characters: hence bytes here.
    """

    def __init__(self, text: str) -> None:
        self._data = text.encode()
        self._starts = [0]
        for line in self._data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def text_of(self, node: ast.expr) -> str:
        """Return the text of a node."""
        return self._data[self._start(node) : self._end(node)].decode()

    def replaced(self, first: ast.stmt | ast.expr, last: ast.stmt | ast.expr, new: str) -> str:
        """Return the file with everything from one node to another replaced."""
        return (
            self._data[: self._start(first)] + new.encode() + self._data[self._end(last) :]
        ).decode()

    def between(self, left: ast.expr, right: ast.expr, old: str, new: str) -> str | None:
        """Return the file with the operator between two nodes replaced; None if it is unclear."""
        start, end = self._end(left), self._start(right)
        gap = self._data[start:end].decode()
        # Brackets, line breaks and comments belong to no node and are in the gap too.
        if gap.count(old) != 1:
            return None
        return (self._data[:start] + gap.replace(old, new).encode() + self._data[end:]).decode()

    def _start(self, node: ast.stmt | ast.expr) -> int:
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        # A node does not include its decorators, nor a decorator its `@`.
        column = node.col_offset if not decorators else decorators[0].col_offset - 1
        return self._starts[(decorators[0] if decorators else node).lineno - 1] + column

    def _end(self, node: ast.stmt | ast.expr) -> int:
        return self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
