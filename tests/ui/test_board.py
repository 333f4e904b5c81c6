"""What a person sees of what takes long: lines where output is piped, a block on a terminal."""

import io
import time

import pytest

from pipeline.files.clocks import Deadline
from pipeline.ui.board import Board
from pipeline.ui.text import Printer


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Pipe(io.StringIO):
    encoding = "utf-8"


@pytest.fixture
def shown():
    def steps(stream: io.StringIO) -> str:
        with Board(Printer(stream, {"TERM": "xterm", "COLUMNS": "80"})) as board:
            board.step("set-up: npm ci")
            board.detail("fault 3 of 12")
            until = Deadline(5.0)
            while stream.isatty() and "fault 3" not in stream.getvalue() and until.left_s:
                time.sleep(0.05)
            board.print("✓ set-up " + "a-path/" * 30)
            board.step("")
            board.print("✓ ready")
        return stream.getvalue()

    return steps


def test_piped_every_step_is_one_line_with_the_time(shown):
    lines = shown(Pipe()).splitlines()
    assert [line.partition(" ")[2] for line in lines[:1]] == ["· set-up: npm ci"]
    assert "fault 3 of 12" not in "\n".join(lines)
    assert len(lines) == 3


def test_on_a_terminal_the_step_stands_below_what_is_finished_and_goes_with_its_end(shown):
    text = shown(Terminal())
    before, _, after = text.partition("✓ ready")
    assert "set-up: npm ci" in before
    assert "fault 3 of 12" in before
    assert "set-up: npm ci" not in after


def test_a_long_line_is_not_broken_so_that_it_can_be_copied(shown):
    assert "a-path/" * 30 in shown(Terminal())
