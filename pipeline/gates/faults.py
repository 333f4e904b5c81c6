"""Single faults for Python.

One small thing wrong in a function that was changed, everything else as it is.

Four kinds, each a question to the tests: would they notice if the body raised, returned nothing, if
a condition were turned round, if a comparison were moved by one? Conditions and comparisons only
where the change touched them. The replaced text is cut out by its place in the syntax tree, so that
the rest of the file keeps its form.
"""

import ast
import difflib
from collections.abc import Iterator

import msgspec

_MOVED: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
}  # fmt: skip
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: where it is, what it does, and the whole file with it."""

    line: int
    what: str
    text: str


def faults(before: str, after: str) -> list[Fault]:
    """List the faults to try for a file's change, the kinds taking turns.

    None when the file cannot be parsed.
    """
    try:
        tree = ast.parse(after)
    except (SyntaxError, ValueError):
        return []
    changed = changed_lines(before, after)
    kinds: list[list[Fault]] = [[], [], [], []]
    cut = _Cut(after)
    for function in _functions(tree):
        if not changed.intersection(range(function.lineno, _last(function) + 1)):
            continue
        for kind, fault in _faults_of(function, cut, changed):
            kinds[kind].append(fault)
    return [
        kind[number]
        for number in range(max(map(len, kinds)))
        for kind in kinds
        if number < len(kind)
    ]


def changed_lines(before: str, after: str) -> set[int]:
    """Number the lines of `after` (from 1) that `before` does not have."""
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
    """Tell a function that does nothing: only a docstring, `...` or `pass`."""
    return all(
        isinstance(one, ast.Pass)
        or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        for one in function.body
    )


def _faults_of(function: _Function, cut: "_Cut", changed: set[int]) -> Iterator[tuple[int, Fault]]:
    inside = list(_own(function))
    for node in inside:
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and node.lineno in changed:
            old, new = _MOVED[type(node.ops[0])]
            if (text := cut.between(node.left, node.comparators[0], old, new)) is not None:
                yield (
                    0,
                    Fault(
                        line=node.lineno, what=f"`{old}` made `{new}` in {function.name}", text=text
                    ),
                )
    for node in inside:
        if isinstance(node, ast.If | ast.While | ast.IfExp) and node.test.lineno in changed:
            text = cut.replaced(node.test, node.test, f"not ({cut.of(node.test)})")
            yield (
                1,
                Fault(
                    line=node.test.lineno,
                    what=f"condition turned round in {function.name}",
                    text=text,
                ),
            )
    body = function.body[1:] if _has_docstring(function) else function.body
    if any(isinstance(node, ast.Return) and node.value is not None for node in inside):
        text = cut.replaced(body[0], body[-1], "return None")
        yield 2, Fault(line=function.lineno, what=f"{function.name} returns nothing", text=text)
    text = cut.replaced(body[0], body[-1], 'raise RuntimeError("a fault put in on purpose")')
    yield 3, Fault(line=function.lineno, what=f"{function.name} raises", text=text)


def _own(function: _Function) -> Iterator[ast.AST]:
    """Walk a function's body, but not the functions and classes inside it."""
    waiting: list[ast.AST] = list(reversed(function.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, _Function | ast.ClassDef | ast.Lambda):
            continue
        yield node
        waiting.extend(reversed(list(ast.iter_child_nodes(node))))


def _has_docstring(function: _Function) -> bool:
    return len(function.body) > 1 and ast.get_docstring(function, clean=False) is not None


def _last(function: _Function) -> int:
    return function.end_lineno or function.lineno


class _Cut:
    """A file's text, cut by places of its syntax tree; columns count bytes of UTF-8."""

    def __init__(self, text: str) -> None:
        self._data = text.encode()
        self._starts = [0]
        for line in self._data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def of(self, node: ast.expr) -> str:
        """Return a node's own text."""
        return self._data[self._start(node) : self._end(node)].decode()

    def replaced(self, first: ast.stmt | ast.expr, last: ast.stmt | ast.expr, new: str) -> str:
        """Return the text with everything from one node to another replaced."""
        return (
            self._data[: self._start(first)] + new.encode() + self._data[self._end(last) :]
        ).decode()

    def between(self, left: ast.expr, right: ast.expr, old: str, new: str) -> str | None:
        """Return the text with the operator between two nodes replaced.

        None when it is not found there.
        """
        start, end = self._end(left), self._start(right)
        gap = self._data[start:end].decode()
        if gap.count(old) != 1:
            return None
        return (self._data[:start] + gap.replace(old, new).encode() + self._data[end:]).decode()

    def _start(self, node: ast.stmt | ast.expr) -> int:
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        at = node.col_offset if not decorators else decorators[0].col_offset - 1
        return self._starts[(decorators[0] if decorators else node).lineno - 1] + at

    def _end(self, node: ast.stmt | ast.expr) -> int:
        return self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
