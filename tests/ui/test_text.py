"""What is printed: agents' text never steers the terminal; colours only where they are wanted."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.memory import Status
from pipeline.core.outcomes import RunEnd
from pipeline.core.plain_text import shown
from pipeline.ui.text import Colour, Printer, seconds


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@given(st.text())
def test_control_and_direction_characters_are_shown_not_sent(text):
    assert not any(char in shown(text) for char in "\x1b\x07\x9b\u202e\u2066\u200b\r\x00")


@pytest.mark.parametrize("environ", [{}, {"NO_COLOR": "1"}], ids=["colour", "none"])
def test_an_escape_in_agents_text_is_shown_on_a_terminal_too(environ):
    stream = Terminal()
    printer = Printer(stream, environ)
    printer.line(f"{printer.mark('done')} title \x1b]0;owned\x07 \x1b[2J \x1b[41mred")
    assert "\x1b]" not in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()
    assert "\x1b[41m" not in stream.getvalue()
    assert "\\x1b]0;owned\\x07" in stream.getvalue()


def test_colour_needs_a_terminal_and_can_be_refused_or_forced():
    assert Printer(Terminal(), {}).paint("x", Colour.RED) == "\x1b[31mx\x1b[0m"
    assert Printer(Terminal(), {"NO_COLOR": "1"}).paint("x", Colour.RED) == "x"
    assert Printer(Terminal(), {"TERM": "dumb"}).paint("x", Colour.RED) == "x"
    assert Printer(io.StringIO(), {}).paint("x", Colour.RED) == "x"
    assert Printer(io.StringIO(), {"FORCE_COLOR": "1"}).paint("x", Colour.RED) == "\x1b[31mx\x1b[0m"


def test_a_table_is_as_wide_as_its_cells_with_wide_letters_too():
    stream = io.StringIO()
    Printer(stream, {}).table(["name", "n"], [["日本", "1"], ["abcde", "2"]])
    assert stream.getvalue().splitlines() == ["name   n", "日本   1", "abcde  2"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.04, "0.0 s"),
        (9.9, "9.9 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_are_said_in_words(value, words):
    assert seconds(value) == words


@pytest.mark.parametrize("state", sorted({*map(str, RunEnd), *map(str, Status), "interrupted"}))
def test_every_state_has_its_own_mark_and_plain_words(state):
    shown = Printer(io.StringIO(), {}).state(str(state))
    assert not shown.startswith("?")
    assert shown.partition(" ")[2] == str(state).replace("_", " ")
