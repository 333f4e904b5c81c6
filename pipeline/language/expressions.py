"""Parse, type-check and evaluate conditions: `planner.plan.size == 'large' and not checks.failed`.

The grammar is a small part of Python's: `and`, `or`, `not`, parentheses, `==`, `!=`, `<`, `<=`,
`>`, `>=`, `in [..]`, text in quotes, numbers, `true`, `false`, `length(list)`, and dotted names. A
name starts with a stage (`-` and `_` are alike), with `inputs` or with `item`. What cannot be
evaluated never counts as false: `evaluate` raises, and the stage fails (fail-closed).
"""

import ast
import re
from collections.abc import Callable, Mapping
from functools import lru_cache

import msgspec

from pipeline.language.flow import FieldType

LENGTH_MAX = 300

_FOREIGN = {
    "&&": "write `and`",
    "||": "write `or`",
    "${{": "write the expression alone, without ${{ }}",
    "{{": "write the expression alone, without {{ }}",
}
"""Operators of other languages, with what to write instead."""

_WORDS = {"true": True, "false": False}
DottedName = tuple[str, ...]
"""A name as its parts: `inputs.idea` is `("inputs", "idea")`."""


class Type(msgspec.Struct, frozen=True):
    """The type of a part of an expression.

    `words` are the texts it can be; empty when it can be any text. Without a kind it can be
    anything.
    """

    kind: FieldType | None
    words: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """The type, as a message names it."""
        return (
            " or ".join(map(repr, self.words))
            if self.words
            else (self.kind.value if self.kind else "anything")
        )


ANY = Type(None)
TEXT, NUMBER = Type(FieldType.TEXT), Type(FieldType.NUMBER)
BOOLEAN, LIST = Type(FieldType.BOOLEAN), Type(FieldType.LIST)


class ExpressionError(Exception):
    """An error in an expression: what is wrong, the offset where it starts, and a hint."""

    def __init__(self, message: str, offset: int = 0, hint: str = "") -> None:
        """Keep the parts."""
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint


class Unanswerable(Exception):  # noqa: N818 - the expression is right, but has no value now
    """A value that an expression needs is missing, or does not have its declared type."""


@lru_cache(maxsize=1024)
def parse(text: str) -> ast.expr:
    """Parse an expression. Raises `ExpressionError`."""
    if len(text) > LENGTH_MAX:
        raise ExpressionError(f"longer than {LENGTH_MAX} characters")
    try:
        tree = ast.parse(text.replace("\n", " ").rstrip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as exc:
        offset = max(0, min((getattr(exc, "offset", 1) or 1) - 1, len(text) - 1))
        foreign = next((sign for sign in _FOREIGN if sign in text), "")
        place = text.index(foreign) if foreign else offset
        hint = _FOREIGN.get(foreign) or _syntax_hint(text)
        raise ExpressionError("not an expression", place, hint) from exc
    _reject_unsupported(tree)
    return tree


def _syntax_hint(text: str) -> str:
    if re.search(r"(?<![=!<>])=(?!=)", text):
        return "compare with =="
    if re.search(r"!(?!=)", text):
        return "write `not`"
    return "for example: planner.plan.size == 'large'"


def _reject_unsupported(node: ast.expr) -> None:
    """Raise `ExpressionError` at the first part of the tree that the language does not have."""
    match node:
        case ast.BoolOp(values=values):
            parts = values
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            parts = [operand]
        case ast.Compare(
            left=left, ops=[ast.Eq() | ast.NotEq() | ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE()]
        ):
            parts = [left, *node.comparators]
        case ast.Compare(
            left=left, ops=[ast.In() | ast.NotIn()], comparators=[ast.List(elts=words)]
        ):
            parts = [left, *words]
        case ast.Call(func=ast.Name(id="length"), args=[inner], keywords=[]):
            parts = [inner]
        case ast.Constant(value=bool() | int() | float() | str()):
            parts = []
        case ast.Name() | ast.Attribute() if dotted(node):
            parts = []
        case _:
            raise ExpressionError(
                _unsupported_message(node), node.col_offset, _unsupported_hint(node)
            )
    for part in parts:
        _reject_unsupported(part)


def _unsupported_message(node: ast.expr) -> str:
    match node:
        case ast.Compare(ops=[ast.In() | ast.NotIn()]):
            return "`in` needs a list of words: in ['small', 'large']"
        case ast.Compare():
            return "comparisons cannot be chained"
        case ast.Call():
            return "the only function is length(...)"
        case ast.BinOp():
            return "arithmetic is not supported"
        case _:
            return "this is not supported in an expression"


def _unsupported_hint(node: ast.expr) -> str:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        return "write sdk_analyst here for a stage called sdk-analyst"
    return "join comparisons with `and`" if isinstance(node, ast.Compare) else ""


def dotted(node: ast.expr) -> DottedName:
    """Return the parts of a dotted name (or of `true` and `false`); empty for any other node."""
    match node:
        case ast.Name(id=word):
            return (word,)
        case ast.Attribute(value=value, attr=word):
            before = dotted(value)
            return (*before, word) if before else ()
        case _:
            return ()


def names(text: str) -> list[tuple[DottedName, int]]:
    """Return the dotted names of a valid expression, with the offset of each."""
    pairs: list[tuple[DottedName, int]] = []

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.expr) and (name := dotted(node)):
            if name[0] not in _WORDS:
                pairs.append((name, node.col_offset))
            return
        for child in ast.iter_child_nodes(node):
            if not (isinstance(node, ast.Call) and child is node.func):
                walk(child)

    walk(parse(text))
    return pairs


def check(text: str, type_of: Callable[[DottedName, int], Type]) -> Type:
    """Return the type of an expression; `type_of` returns that of a name.

    Raises `ExpressionError`, as `type_of` may.
    """
    return _typed(parse(text), type_of)


def _typed(node: ast.expr, type_of: Callable[[DottedName, int], Type]) -> Type:
    match node:
        case ast.BoolOp(values=values):
            for value in values:
                _want(value, type_of, BOOLEAN)
            return BOOLEAN
        case ast.UnaryOp(operand=operand):
            _want(operand, type_of, BOOLEAN)
            return BOOLEAN
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _compared(left, op, right, type_of)
        case ast.Call(args=[inner]):
            _want(inner, type_of, LIST)
            return NUMBER
        case ast.Constant(value=value):
            return _type_of_value(value)
        case _:
            name = dotted(node)
            return BOOLEAN if name[0] in _WORDS else type_of(name, node.col_offset)


def _type_of_value(value: object) -> Type:
    if isinstance(value, bool):
        return BOOLEAN
    return NUMBER if isinstance(value, int | float) else Type(FieldType.TEXT, (str(value),))


def _want(node: ast.expr, type_of: Callable[[DottedName, int], Type], wanted: Type) -> None:
    actual = _typed(node, type_of)
    if actual.kind not in {None, wanted.kind}:
        what = "true or false" if wanted is BOOLEAN else f"a {wanted.description}"
        hint = "compare it with something" if wanted is BOOLEAN else ""
        message = f"expected {what}, got {actual.description}"
        raise ExpressionError(message, node.col_offset, hint)


def _compared(
    left: ast.expr, op: ast.cmpop, right: ast.expr, type_of: Callable[[DottedName, int], Type]
) -> Type:
    one = _typed(left, type_of)
    others = right.elts if isinstance(right, ast.List) else [right]
    for other_node in others:
        other = _typed(other_node, type_of)
        if isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            _want(left, type_of, NUMBER)
            _want(other_node, type_of, NUMBER)
        if None not in {one.kind, other.kind} and one.kind is not other.kind:
            message = f"cannot compare {one.description} with {other.description}"
            raise ExpressionError(message, other_node.col_offset, "compare values of one type")
        if one.words and other.words and not set(one.words) & set(other.words):
            message = f"{other.description} is not one of {one.description}"
            raise ExpressionError(message, other_node.col_offset)
    return BOOLEAN


def evaluate(text: str, value_of: Callable[[DottedName], object]) -> object:
    """Return the value of an expression; `value_of` returns that of a name.

    Raises `Unanswerable`, as `value_of` may.
    """
    return _value(parse(text), value_of)


def holds(text: str, value_of: Callable[[DottedName], object]) -> bool:
    """Return whether a condition holds.

    Raises `Unanswerable`, also when its value is neither true nor false.
    """
    value = evaluate(text, value_of)
    if not isinstance(value, bool):
        raise Unanswerable(f"`{text}` is {value!r:.60}, neither true nor false")
    return value


def _value(node: ast.expr, value_of: Callable[[DottedName], object]) -> object:
    match node:
        case ast.BoolOp(op=op, values=values):
            stop = isinstance(op, ast.Or)
            return next((stop for value in values if _true(value, value_of) is stop), not stop)
        case ast.UnaryOp(operand=operand):
            return not _true(operand, value_of)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _compare(_value(left, value_of), op, right, value_of)
        case ast.Call(args=[inner]):
            items = _value(inner, value_of)
            if not isinstance(items, list | tuple):
                raise Unanswerable(f"`{ast.unparse(inner)}` is not a list")
            return len(items)
        case ast.Constant(value=value):
            return value
        case _:
            name = dotted(node)
            return _WORDS[name[0]] if name[0] in _WORDS else value_of(name)


def _true(node: ast.expr, value_of: Callable[[DottedName], object]) -> bool:
    value = _value(node, value_of)
    if not isinstance(value, bool):
        raise Unanswerable(f"`{ast.unparse(node)}` is {value!r:.60}, neither true nor false")
    return value


def _compare(
    one: object, op: ast.cmpop, right: ast.expr, value_of: Callable[[DottedName], object]
) -> bool:
    if isinstance(right, ast.List):
        inside = one in [_value(word, value_of) for word in right.elts]
        return inside is isinstance(op, ast.In)
    other = _value(right, value_of)
    if isinstance(op, ast.Eq | ast.NotEq):
        return (one == other) is isinstance(op, ast.Eq)
    numbers = (int, float)
    if not isinstance(one, numbers) or not isinstance(other, numbers):
        raise Unanswerable(f"{one!r:.60} and {other!r:.60} cannot be ordered")
    match op:
        case ast.Lt():
            return one < other
        case ast.LtE():
            return one <= other
        case ast.Gt():
            return one > other
        case _:
            return one >= other


def field_of(value: object, path: DottedName) -> object:
    """Return the field of a JSON value that `path` leads to.

    Raises `Unanswerable`, with the name of the field that is missing.
    """
    for word in path:
        if not isinstance(value, Mapping) or word not in value:
            raise Unanswerable(f"there is no field {word!r}")
        value = value[word]
    return value
