"""Complaints as a person sees them."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.language.diagnostics import Diagnostic, Mark, did_you_mean, render

TEXT = """\
version: 1
limits: {paralel: 4}
\tworkflows: {}
"""
SHOWN = """\
error[F110]: unknown key 'paralel' in limits
 --> flow.yaml:2:10
  |
2 | limits: {paralel: 4}
  |          ^^^^^^^
help: did you mean 'parallel'?

error[F101]: limits must be a mapping, not a list
 --> flow.yaml:3:2
  |
3 |  workflows: {}
  |  ^

2 errors in flow.yaml; nothing was started.
for the meaning of a code, with an example: pipeline explain F110"""


def diagnostic(
    line: int, column: int, width: int = 1, *, code: str = "F112", hint: str = ""
) -> Diagnostic:
    return Diagnostic(
        code=code,
        message="limits must be a mapping, not a list",
        mark=Mark(line, column, width, "flow.yaml"),
        help=hint,
    )


def test_errors_are_shown_like_a_compiler_does_in_the_order_of_their_lines() -> None:
    typo = Diagnostic(
        code="F110",
        message="unknown key 'paralel' in limits",
        mark=Mark(2, 10, 7, "flow.yaml"),
        help="did you mean 'parallel'?",
    )
    assert render([diagnostic(3, 2, code="F101"), typo], {"flow.yaml": TEXT}, "flow.yaml") == SHOWN


def test_one_error_is_counted_in_the_singular() -> None:
    assert render([diagnostic(1, 1)], {"flow.yaml": TEXT}, "flow.yaml").splitlines()[-2:] == [
        "1 error in flow.yaml; nothing was started.",
        "for the meaning of a code, with an example: pipeline explain F112",
    ]


def test_a_place_after_the_last_line_is_named_without_a_line() -> None:
    shown = render([diagnostic(9, 1)], {"flow.yaml": TEXT}, "flow.yaml")
    assert shown.splitlines()[:2] == [
        "error[F112]: limits must be a mapping, not a list",
        " --> flow.yaml:9:1",
    ]
    assert "^" not in shown


def test_line_numbers_of_two_digits_keep_the_bars_in_one_column() -> None:
    shown = render([diagnostic(12, 1)], {"flow.yaml": "x\n" * 12}, "flow.yaml").splitlines()
    assert shown[1:5] == ["  --> flow.yaml:12:1", "   |", "12 | x", "   | ^"]


@given(st.integers(1, 4), st.integers(1, 30), st.integers(1, 40))
def test_the_caret_never_leaves_its_line_by_more_than_one(
    line: int, column: int, width: int
) -> None:
    shown = render([diagnostic(line, column, width)], {"flow.yaml": TEXT}, "flow.yaml").splitlines()
    carets = [row for row in shown if set(row) <= set(" |^") and "^" in row]
    source = [row for row in shown if row.startswith(f"{line} | ")]
    for row, text in zip(carets, source, strict=True):
        assert row.count("^") == 1 or len(row) <= len(text)


def test_the_nearest_word_is_suggested() -> None:
    assert did_you_mean("neds", ["needs", "gates"]) == "did you mean 'needs'?"


def test_without_a_near_word_those_there_are_are_listed() -> None:
    assert did_you_mean("zzz", ["b", "a"]) == "known: a, b"


def test_a_long_list_is_cut_after_twelve() -> None:
    assert did_you_mean("zzz", [f"word{n:02}" for n in range(20)]).endswith("word11")


def test_with_no_word_at_all_nothing_is_suggested() -> None:
    assert did_you_mean("zzz", []) == ""
