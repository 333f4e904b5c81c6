"""Conditions: what they may say, what type they have, and that they answer as Python would."""

from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.language.expressions import (
    BOOLEAN,
    LENGTH_MAX,
    LIST,
    NUMBER,
    TEXT,
    DottedName,
    ExpressionError,
    Type,
    Unanswerable,
    check,
    evaluate,
    field_of,
    holds,
    names,
    parse,
)
from pipeline.language.flow import FieldType

TYPES: Mapping[DottedName, Type] = {
    ("a", "n"): NUMBER,
    ("a", "t"): TEXT,
    ("a", "b"): BOOLEAN,
    ("a", "l"): LIST,
    ("a", "w"): Type(FieldType.TEXT, ("small", "large")),
    ("item", "x"): Type(None),
}
VALUES: Mapping[DottedName, object] = {
    ("a", "n"): 3,
    ("a", "t"): "x",
    ("a", "b"): True,
    ("a", "l"): [1, 2],
    ("a", "w"): "small",
    ("item", "x"): 7,
}


def type_of(name: DottedName, offset: int) -> Type:
    if name not in TYPES:
        raise ExpressionError("unknown", offset)
    return TYPES[name]


def value_of(name: DottedName) -> object:
    if name not in VALUES:
        raise Unanswerable("missing")
    return VALUES[name]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("a.n == 3", True),
        ("a.n != 3", False),
        ("a.n < 3 or a.n >= 3", True),
        ("a.n <= 2.5", False),
        ("a.n > 2 and not a.b", False),
        ("a.w == 'small'", True),
        ("a.w in ['small', 'large']", True),
        ("a.w not in ['small']", False),
        ("length(a.l) == 2", True),
        ("true", True),
        ("not (a.b and false)", True),
        ("item.x == 7", True),
        ("a.b == true", True),
    ],
)
def test_a_condition_is_typed_and_answered(text: str, answer: bool) -> None:
    assert check(text, type_of) is BOOLEAN
    assert holds(text, value_of) is answer


@pytest.mark.parametrize(
    ("text", "offset", "what"),
    [
        ("a.n == 'x'", 7, "cannot compare number with 'x'"),
        ("a.t", None, ""),
        ("a.n and a.b", 0, "expected true or false, got number"),
        ("not a.t", 4, "expected true or false, got text"),
        ("a.b < 3", 0, "expected a number, got boolean"),
        ("a.w == 'smal'", 7, "'smal' is not one of 'small' or 'large'"),
        ("length(a.n) > 1", 7, "expected a list, got number"),
        ("b.c == 1", 0, "unknown"),
        ("a.w in ['tiny']", 8, "'tiny' is not one of 'small' or 'large'"),
    ],
)
def test_a_wrong_type_is_reported_with_its_place(text: str, offset: int | None, what: str) -> None:
    if offset is None:
        assert check(text, type_of).kind is FieldType.TEXT
        return
    with pytest.raises(ExpressionError) as caught:
        check(text, type_of)
    assert (caught.value.offset, caught.value.message) == (offset, what)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a.n = 3", "compare with =="),
        ("a.b && a.n", "write `and`"),
        ("a.b || a.n", "write `or`"),
        ("!a.b", "write `not`"),
        ("${{ a.b }}", "write the expression alone, without ${{ }}"),
        ("sdk-analyst.done", "write sdk_analyst here for a stage called sdk-analyst"),
        ("1 < a.n < 3", "join comparisons with `and`"),
        ("a.b == ", "for example: planner.plan.size == 'large'"),
        ("__import__('os').system('x')", ""),
        ("a.b()", ""),
        ("[1, 2]", ""),
        ("a.n in 'text'", "join comparisons with `and`"),
        ("lambda: 1", ""),
        ("a['n']", ""),
        ("f'{a.n}'", ""),
        ("(a := 1)", ""),
        ("{1: 2}", ""),
        ("", ""),
    ],
)
def test_what_is_not_supported_is_an_error(text: str, hint: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert hint in caught.value.hint or not hint


def test_long_and_deep_texts_are_refused_at_once() -> None:
    for text in ("a" * (LENGTH_MAX + 1), "(" * 200, "not " * 74 + "a.b ==", "[" * 150 + "]" * 150):
        with pytest.raises(ExpressionError):
            parse(text)


@pytest.mark.parametrize(
    "text",
    ["b.c == 1", "a.b and b.c == 1", "a.t", "length(a.t) == 1", "a.t < 3", "a.l > 1", "not a.t"],
)
def test_what_cannot_be_answered_is_never_false(text: str) -> None:
    with pytest.raises(Unanswerable):
        holds(text, value_of)


def test_the_second_half_is_not_asked_when_the_first_decides() -> None:
    assert holds("a.n == 3 or b.c == 1", value_of)
    assert not holds("a.n == 4 and b.c == 1", value_of)


def test_names_are_listed_with_their_places() -> None:
    assert names("not a.n and length(b.c.d) > 1 or true") == [
        (("a", "n"), 4),
        (("b", "c", "d"), 19),
    ]


def test_a_field_that_is_missing_is_named() -> None:
    assert field_of({"a": {"b": 1}}, ("a", "b")) == 1
    with pytest.raises(Unanswerable, match="'c'"):
        field_of({"a": {"b": 1}}, ("a", "c"))


numbers = st.sampled_from(["a.n", "item.x", "0", "3", "7", "2.5"])
comparisons = st.builds(
    "{} {} {}".format, numbers, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), numbers
)
conditions = st.recursive(
    comparisons | st.sampled_from(["a.b", "true", "false"]),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=8,
)


@given(conditions)
def test_answers_are_those_that_python_gives(text: str) -> None:
    plain = text.replace("a.n", "3").replace("item.x", "7").replace("a.b", "True")
    expected = eval(plain.replace("true", "True").replace("false", "False"))
    assert check(text, type_of) is BOOLEAN
    assert evaluate(text, value_of) is expected


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ExpressionError):
        parse(text)
