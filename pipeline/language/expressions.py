"""Conditions in a flow: `planner.plan.size == 'large' and not checks.failed`.

Read, typed, answered.

The grammar is a small part of Python's: `and`, `or`, `not`, brackets, `==`, `!=`, `<`, `<=`, `>`,
`>=`, `in [..]`, text in quotes, numbers, `true`, `false`, `length(list)`, and dotted names. A name
starts at a stage (`-` and `_` alike), at `inputs` or at `item`. What cannot be answered is never
taken for false: `evaluate` raises, and the stage fails (fail-closed).
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
    "${{": "an expression stands alone, without ${{ }}",
    "{{": "an expression stands alone, without {{ }}",
}
"""Signs of other languages, with what is written here."""

_WORDS = {"true": True, "false": False}
Name = tuple[str, ...]


class Type(msgspec.Struct, frozen=True):
    """What a part of an expression is.

    `words` are the texts it can be, empty when it can be any.
    """

    kind: FieldType | None
    words: tuple[str, ...] = ()

    @property
    def says(self) -> str:
        """Name the type for a message."""
        return (
            " or ".join(map(repr, self.words))
            if self.words
            else (self.kind.value if self.kind else "anything")
        )


ANY = Type(None)
TEXT, NUMBER = Type(FieldType.TEXT), Type(FieldType.NUMBER)
BOOLEAN, LIST = Type(FieldType.BOOLEAN), Type(FieldType.LIST)


class Wrong(Exception):  # noqa: N818 - what is wrong with an expression, to be turned into a complaint
    """What is wrong, the offset of the letter it starts at, and the mend."""

    def __init__(self, what: str, offset: int = 0, mend: str = "") -> None:
        """Keep the parts."""
        super().__init__(what)
        self.what = what
        self.offset = offset
        self.mend = mend


class Unanswerable(Exception):  # noqa: N818 - a question without an answer is no error of ours
    """The values that an expression asks for are not there, or not of their type."""


@lru_cache(maxsize=1024)
def parse(text: str) -> ast.expr:
    """Read an expression. Raises `Wrong`."""
    if len(text) > LENGTH_MAX:
        raise Wrong(f"longer than {LENGTH_MAX} letters")
    try:
        tree = ast.parse(text.replace("\n", " ").rstrip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as exc:
        offset = max(0, min((getattr(exc, "offset", 1) or 1) - 1, len(text) - 1))
        foreign = next((sign for sign in _FOREIGN if sign in text), "")
        place = text.index(foreign) if foreign else offset
        raise Wrong("not an expression", place, _FOREIGN.get(foreign) or _mend_of(text)) from exc
    _refuse(tree)
    return tree


def _mend_of(text: str) -> str:
    if re.search(r"(?<![=!<>])=(?!=)", text):
        return "compare with =="
    if re.search(r"!(?!=)", text):
        return "write `not`"
    return "for example: planner.plan.size == 'large'"


def _refuse(node: ast.expr) -> None:
    """Go through the tree; complain about the first part that has no meaning here."""
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
            raise Wrong(_refusal(node), node.col_offset, _refusal_mend(node))
    for part in parts:
        _refuse(part)


def _refusal(node: ast.expr) -> str:
    match node:
        case ast.Compare(ops=[ast.In() | ast.NotIn()]):
            return "`in` wants a list of words: in ['small', 'large']"
        case ast.Compare():
            return "one comparison at a time"
        case ast.Call():
            return "the only function is length(...)"
        case ast.BinOp():
            return "there is no arithmetic here"
        case _:
            return "this has no meaning in an expression"


def _refusal_mend(node: ast.expr) -> str:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        return "a stage called sdk-analyst is written sdk_analyst here"
    return "join comparisons with `and`" if isinstance(node, ast.Compare) else ""


def dotted(node: ast.expr) -> Name:
    """Return a dotted name as its parts; nothing when the node is none, or is `true` or `false`."""
    match node:
        case ast.Name(id=word):
            return (word,)
        case ast.Attribute(value=value, attr=word):
            before = dotted(value)
            return (*before, word) if before else ()
        case _:
            return ()


def names(text: str) -> list[tuple[Name, int]]:
    """List the dotted names of a sound expression, with the offset of each."""
    found: list[tuple[Name, int]] = []

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.expr) and (name := dotted(node)):
            if name[0] not in _WORDS:
                found.append((name, node.col_offset))
            return
        for child in ast.iter_child_nodes(node):
            if not (isinstance(node, ast.Call) and child is node.func):
                walk(child)

    walk(parse(text))
    return found


def check(text: str, type_of: Callable[[Name, int], Type]) -> Type:
    """Find the type of an expression; `type_of` gives that of a name, or raises. Raises `Wrong`."""
    return _typed(parse(text), type_of)


def _typed(node: ast.expr, type_of: Callable[[Name, int], Type]) -> Type:
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


def _want(node: ast.expr, type_of: Callable[[Name, int], Type], wanted: Type) -> None:
    found = _typed(node, type_of)
    if found.kind not in {None, wanted.kind}:
        what = "true or false" if wanted is BOOLEAN else f"a {wanted.says}"
        mend = "compare it with something" if wanted is BOOLEAN else ""
        raise Wrong(f"this is {found.says}, where {what} is needed", node.col_offset, mend)


def _compared(
    left: ast.expr, op: ast.cmpop, right: ast.expr, type_of: Callable[[Name, int], Type]
) -> Type:
    one = _typed(left, type_of)
    others = right.elts if isinstance(right, ast.List) else [right]
    for other_node in others:
        other = _typed(other_node, type_of)
        if isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            _want(left, type_of, NUMBER)
            _want(other_node, type_of, NUMBER)
        if None not in {one.kind, other.kind} and one.kind is not other.kind:
            raise Wrong(
                f"{one.says} is never {other.says}",
                other_node.col_offset,
                "compare things of one type",
            )
        if one.words and other.words and not set(one.words) & set(other.words):
            raise Wrong(f"{other.says} is not among {one.says}", other_node.col_offset)
    return BOOLEAN


def evaluate(text: str, value_of: Callable[[Name], object]) -> object:
    """Answer an expression; `value_of` gives the value of a name, or raises.

    Raises `Unanswerable`.
    """
    return _value(parse(text), value_of)


def holds(text: str, value_of: Callable[[Name], object]) -> bool:
    """Answer a condition. Raises `Unanswerable`, also when the answer is neither true nor false."""
    found = evaluate(text, value_of)
    if not isinstance(found, bool):
        raise Unanswerable(f"`{text}` is {found!r:.60}, neither true nor false")
    return found


def _value(node: ast.expr, value_of: Callable[[Name], object]) -> object:
    match node:
        case ast.BoolOp(op=op, values=values):
            stop = isinstance(op, ast.Or)
            return next((stop for value in values if _true(value, value_of) is stop), not stop)
        case ast.UnaryOp(operand=operand):
            return not _true(operand, value_of)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _answer(_value(left, value_of), op, right, value_of)
        case ast.Call(args=[inner]):
            found = _value(inner, value_of)
            if not isinstance(found, list | tuple):
                raise Unanswerable(f"`{ast.unparse(inner)}` is no list")
            return len(found)
        case ast.Constant(value=value):
            return value
        case _:
            name = dotted(node)
            return _WORDS[name[0]] if name[0] in _WORDS else value_of(name)


def _true(node: ast.expr, value_of: Callable[[Name], object]) -> bool:
    found = _value(node, value_of)
    if not isinstance(found, bool):
        raise Unanswerable(f"`{ast.unparse(node)}` is {found!r:.60}, neither true nor false")
    return found


def _answer(
    one: object, op: ast.cmpop, right: ast.expr, value_of: Callable[[Name], object]
) -> bool:
    if isinstance(right, ast.List):
        inside = one in [_value(word, value_of) for word in right.elts]
        return inside is isinstance(op, ast.In)
    other = _value(right, value_of)
    if isinstance(op, ast.Eq | ast.NotEq):
        return (one == other) is isinstance(op, ast.Eq)
    numbers = (int, float)
    if not isinstance(one, numbers) or not isinstance(other, numbers):
        raise Unanswerable(f"{one!r:.60} and {other!r:.60} cannot be put in order")
    match op:
        case ast.Lt():
            return one < other
        case ast.LtE():
            return one <= other
        case ast.Gt():
            return one > other
        case _:
            return one >= other


def field_of(value: object, path: Name) -> object:
    """Follow field names into a JSON value.

    Raises `Unanswerable` with the field that is missing.
    """
    for word in path:
        if not isinstance(value, Mapping) or word not in value:
            raise Unanswerable(f"there is no field {word!r}")
        value = value[word]
    return value
