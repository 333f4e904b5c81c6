"""Single faults: one small mistake in a change, the rest of the file as it is.

In every language each hunk of the change is undone alone: would the tests notice if it were
missing? In Python there are more, each in a changed function: a condition negated, a comparison
moved, an operand of `and` or `or` dropped, an argument dropped, and, counted apart because almost
any test notices them, a body that raises or returns nothing. Text is replaced by its position in
the syntax tree, so that the rest of the file keeps its formatting.
"""

import ast
import difflib
from collections.abc import Iterator
from enum import IntEnum, auto

import msgspec

_SWAPPED: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
}  # fmt: skip
_COMMENTS = ("//", "/*", "*", "#")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class FaultKind(IntEnum):
    """What a fault does; kinds are tried in turn, in this order."""

    HUNK = auto()
    COMPARISON = auto()
    CONDITION = auto()
    OPERAND = auto()
    ARGUMENT = auto()
    RETURNS_NOTHING = auto()
    RAISES = auto()

    @property
    def is_body(self) -> bool:
        """Whether it takes a whole body away, which almost any test notices."""
        return self in {FaultKind.RETURNS_NOTHING, FaultKind.RAISES}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: its line, what it does, and the text of the file with it.

    `where` names the function or the lines that it asks about; `changed` are the lines of a hunk,
    before and after.
    """

    kind: FaultKind
    line: int
    what: str
    where: str
    text: str
    changed: tuple[str, ...] = ()


def faults(before: str, after: str, *, is_python: bool = True) -> list[Fault]:
    """List the faults to try for a changed file, kinds in turn.

    A file that is new has no hunk to undo: without it the whole change is gone.
    """
    kinds: dict[FaultKind, list[Fault]] = {kind: [] for kind in FaultKind}
    for fault in _all_faults(before, after, is_python=is_python):
        kinds[fault.kind].append(fault)
    return [
        of_kind[number]
        for number in range(max(map(len, kinds.values())))
        for of_kind in kinds.values()
        if number < len(of_kind)
    ]


def _all_faults(before: str, after: str, *, is_python: bool) -> Iterator[Fault]:
    for hunk in _hunks(before, after):
        if not (_is_same_python(hunk.text, after) if is_python else _is_comment(hunk)):
            yield hunk
    try:
        tree = ast.parse(after) if is_python else None
    except (SyntaxError, ValueError):
        tree = None
    if tree is None:
        return
    changed = changed_lines(before, after)
    source = _SourceText(after)
    for function in _functions(tree):
        if changed.intersection(range(function.lineno, _last_line(function) + 1)):
            # What is dropped may leave one of its brackets behind.
            yield from (
                fault for fault in _faults_of(function, source, changed) if _parses(fault.text)
            )


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def _is_same_python(text: str, other: str) -> bool:
    """Return whether two files differ only in comments, docstrings and layout."""
    try:
        return _without_docstrings(text) == _without_docstrings(other)
    except (SyntaxError, ValueError):
        return False


def _without_docstrings(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, _Function | ast.ClassDef | ast.Module) and _has_docstring(node):
            node.body = node.body[1:]
    return ast.dump(tree)


def _is_comment(hunk: Fault) -> bool:
    """Return whether all that a hunk changed are lines that begin as comments do."""
    return all(line.strip().startswith(_COMMENTS) for line in hunk.changed if line.strip())


def _hunks(before: str, after: str) -> Iterator[Fault]:
    """Yield the file with each hunk undone alone; none if the whole file is one."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    hunks = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    if not before or len(hunks) < 2:
        return
    for _, old_start, old_end, start, end in hunks:
        if not "".join((*old[old_start:old_end], *new[start:end])).strip():
            continue
        where = f"lines {start + 1} to {end}" if end > start + 1 else f"line {start + 1}"
        yield Fault(
            kind=FaultKind.HUNK,
            line=start + 1,
            what=f"the change of {where} undone",
            where=where,
            text="".join((*new[:start], *old[old_start:old_end], *new[end:])),
            changed=(*old[old_start:old_end], *new[start:end]),
        )


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


def _faults_of(function: _Function, source: "_SourceText", changed: set[int]) -> Iterator[Fault]:
    def fault(kind: FaultKind, line: int, what: str, text: str) -> Fault:
        return Fault(kind=kind, line=line, what=what, where=name, text=text)

    name = function.name
    inside = list(_own_nodes(function))
    for node in inside:
        if isinstance(node, ast.expr | ast.stmt) and node.lineno in changed:
            for kind, what, text in _in_expression(node, source):
                yield fault(kind, node.lineno, f"{what} in {name}", text)
        if isinstance(node, ast.If | ast.While | ast.IfExp) and node.test.lineno in changed:
            text = source.replaced(node.test, node.test, f"not ({source.text_of(node.test)})")
            what = f"condition negated in {name}"
            yield fault(FaultKind.CONDITION, node.test.lineno, what, text)
    body = function.body[1:] if _has_docstring(function) else function.body
    if any(isinstance(node, ast.Return) and node.value is not None for node in inside):
        text = source.replaced(body[0], body[-1], "return None")
        yield fault(FaultKind.RETURNS_NOTHING, function.lineno, f"{name} returns nothing", text)
    text = source.replaced(body[0], body[-1], 'raise RuntimeError("a fault put in on purpose")')
    yield fault(FaultKind.RAISES, function.lineno, f"{name} raises", text)


def _in_expression(
    node: ast.expr | ast.stmt, source: "_SourceText"
) -> Iterator[tuple[FaultKind, str, str]]:
    """Yield the faults of one expression: kind, what it does, and the text with it."""
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            old, new = _SWAPPED[type(operator)]
            if (text := source.between(left, right, old, new)) is not None:
                yield FaultKind.COMPARISON, f"`{old}` made `{new}`", text
        case ast.BoolOp(values=values):
            dropped = source.text_of(values[-1])
            text = source.without(values[-2], values[-1])
            yield FaultKind.OPERAND, f"`{dropped}` dropped", text
        case ast.Call(args=args, keywords=keywords) if len(args) + len(keywords) > 1:
            given: list[ast.expr | ast.keyword] = [*args, *keywords]
            text = source.without(given[-2], given[-1])
            dropped = source.text_of(given[-1])
            yield FaultKind.ARGUMENT, f"argument `{dropped}` dropped", text
        case _:
            pass


def _own_nodes(function: _Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body, without those of functions and classes inside it."""
    waiting: list[ast.AST] = list(reversed(function.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, _Function | ast.ClassDef | ast.Lambda):
            continue
        yield node
        waiting.extend(reversed(list(ast.iter_child_nodes(node))))


def _has_docstring(function: _Function | ast.ClassDef | ast.Module) -> bool:
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

    def text_of(self, node: ast.expr | ast.keyword) -> str:
        """Return the text of a node."""
        return self._data[self._start(node) : self._end(node)].decode()

    def replaced(self, first: ast.stmt | ast.expr, last: ast.stmt | ast.expr, new: str) -> str:
        """Return the file with everything from one node to another replaced."""
        return (
            self._data[: self._start(first)] + new.encode() + self._data[self._end(last) :]
        ).decode()

    def without(self, before: ast.expr | ast.keyword, last: ast.expr | ast.keyword) -> str:
        """Return the file without a node and all that is between it and the one before it."""
        return (self._data[: self._end(before)] + self._data[self._end(last) :]).decode()

    def between(self, left: ast.expr, right: ast.expr, old: str, new: str) -> str | None:
        """Return the file with the operator between two nodes replaced; None if it is unclear."""
        start, end = self._end(left), self._start(right)
        gap = self._data[start:end].decode()
        # Brackets, line breaks and comments belong to no node and are in the gap too.
        if gap.count(old) != 1:
            return None
        return (self._data[:start] + gap.replace(old, new).encode() + self._data[end:]).decode()

    def _start(self, node: ast.stmt | ast.expr | ast.keyword) -> int:
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        # A node does not include its decorators, nor a decorator its `@`.
        column = node.col_offset if not decorators else decorators[0].col_offset - 1
        return self._starts[(decorators[0] if decorators else node).lineno - 1] + column

    def _end(self, node: ast.stmt | ast.expr | ast.keyword) -> int:
        return self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
