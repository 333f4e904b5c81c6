"""What a program printed, short enough for a message."""

import re

_CUT = "[...]"
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_FOREIGN = re.compile(r"node_modules|node:internal|site-packages|/rustc/|\bat .*\(?<anonymous>\)?$")
_EMPTY = " \t-=_*~.│|^"


def excerpt(text: str, limit: int = 400) -> str:
    """Return a text of at most about `limit` characters.

    Its first and last lines, a third and two thirds of it.

    Most programs say at one of the two ends why they failed; npm prints a page about its options
    after the reason.
    """
    text = text.strip()
    if len(text) <= limit:
        return text
    first = text[: limit // 3]
    first = first.rpartition("\n")[0].rstrip() or first
    last = text[len(first) - limit :]
    last = last.partition("\n")[2].lstrip("\n") or last
    return f"{first}\n{_CUT}\n{last}" if "\n" in text else f"{first} {_CUT} {last}"


def last_lines(text: str, most: int) -> str:
    """Return the last lines of a text that say something, at most so many."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip(_EMPTY)]
    return "\n".join(lines[-most:])


def telling_lines(text: str, most: int) -> str:
    """Return the lines of a failure that say something, at most so many: its first and last ones.

    Frames of other people's code, rules and empty lines are left out.
    """
    plain = (_ANSI.sub("", line).rstrip() for line in text.splitlines())
    lines = [line for line in plain if line.strip(_EMPTY) and not _FOREIGN.search(line)]
    if len(lines) > most:
        first = most // 3
        lines = [*lines[:first], _CUT, *lines[first - most :]]
    return "\n".join(lines)
