"""The one printer.

Data to stdout, everything else to stderr, colours only where they are wanted.
"""

import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TextIO

from pipeline.core.plain_text import shown
from pipeline.core.redact import Redactor, without_url_passwords
from pipeline.process.logins import known_secrets


class Colour(StrEnum):
    """The few colours there are, as terminal codes."""

    GREEN = "32"
    RED = "31"
    YELLOW = "33"
    DIM = "2"
    BOLD = "1"


MARKS = {
    "done": ("✓", "ok", Colour.GREEN),
    "failed": ("✗", "x", Colour.RED),
    "running": ("●", "*", Colour.YELLOW),
    "ready": ("○", "o", Colour.DIM),
    "pending": ("○", "o", Colour.DIM),
    "waiting": ("◌", "~", Colour.YELLOW),
    "skipped": ("\u2013", "-", Colour.DIM),
    "cancelled": ("\u2013", "-", Colour.YELLOW),
    "nothing_to_do": ("\u2013", "-", Colour.GREEN),
    "interrupted": ("◌", "~", Colour.YELLOW),
}
"""State -> mark, mark for terminals without UTF-8, colour; the word always stands beside it."""


_COLOUR_CODES = re.compile(r"(\x1b\[(?:0|1|2|31|32|33)m)")


class Printer:
    """Prints to one stream, knowing whether colour and UTF-8 are wanted there.

    Secrets of the person do not get there, whoever hands them on.
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        """Decide once: NO_COLOR, then FORCE_COLOR, then whether it is a terminal."""
        self.stream = stream
        self._redactor = Redactor(known_secrets(environ))
        self.is_terminal = stream.isatty() and environ.get("TERM") != "dumb"
        self.colour = not environ.get("NO_COLOR") and (
            bool(environ.get("FORCE_COLOR")) or self.is_terminal
        )
        self.unicode = (getattr(stream, "encoding", "") or "").lower().replace("-", "") == "utf8"

    def line(self, text: str = "") -> None:
        """Print one line; control characters in it are shown, not sent."""
        print(self.clean(text), file=self.stream, flush=True)

    def clean(self, text: str) -> str:
        """Escape whatever could steer the terminal, except for the colours that we put in."""
        text = self.without_secrets(text)
        if not self.colour:
            return shown(text)
        parts = _COLOUR_CODES.split(text)
        return "".join(part if index % 2 else shown(part) for index, part in enumerate(parts))

    def without_secrets(self, text: str) -> str:
        """Take out the secrets of the person, and the passwords of URLs."""
        return self._redactor.text(without_url_passwords(text))

    def data(self, text: str) -> None:
        """Write text as it is, but for secrets: JSON that a program reads."""
        self.stream.write(self.without_secrets(text))

    def paint(self, text: str, colour: Colour) -> str:
        """Colour a text, if colour is wanted."""
        clean = shown(text)
        return f"\x1b[{colour.value}m{clean}\x1b[0m" if self.colour else clean

    def state(self, state: str) -> str:
        """Return a state's mark and its word."""
        return f"{self.mark(state)} {self.paint(state.replace('_', ' '), Colour.BOLD)}"

    def mark(self, state: str) -> str:
        """Return a state's mark."""
        sign, plain, colour = MARKS.get(state, ("?", "?", Colour.DIM))
        return self.paint(sign if self.unicode else plain, colour)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print columns, as wide as they need to be."""
        clean = [[shown(self.without_secrets(str(cell))) for cell in row] for row in (head, *rows)]
        widths = [max(_width(row[column]) for row in clean) for column in range(len(head))]
        for index, row in enumerate(clean):
            cells = (
                cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
            )
            line = "  ".join(cells).rstrip()
            print(self.paint(line, Colour.DIM) if index == 0 else line, file=self.stream)
        self.stream.flush()


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def out(environ: Mapping[str, str]) -> Printer:
    """Make the printer for data."""
    return Printer(sys.stdout, environ)


def err(environ: Mapping[str, str]) -> Printer:
    """Make the printer for everything that is not data."""
    return Printer(sys.stderr, environ)


def seconds(duration_s: float) -> str:
    """Format a duration: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if duration_s < 10:
        return f"{duration_s:.1f} s"
    whole = round(duration_s)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
