"""Errors in a file that a person wrote, shown as a compiler does: what, where, and a hint."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

_LINE, _BEFORE = 200, 150
"""How many characters of a long line are shown, and at most how many of those before the error."""


class Mark(msgspec.Struct, frozen=True):
    """A place in a text: 1-based line and column, the number of characters, and the file."""

    line: int
    column: int
    width: int = 1
    file: str = ""


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True):
    """One error: a stable code, the message, the place, and a hint in `help`."""

    code: str
    message: str
    mark: Mark
    help: str = ""


def render(diagnostics: Sequence[Diagnostic], texts: Mapping[str, str], name: str) -> str:
    """Return all errors as text, in the order of their lines.

    `texts` has each file by name, `name` is the main one.
    """
    lines = {file: text.splitlines() for file, text in texts.items()}
    ordered = sorted(
        diagnostics, key=lambda d: (d.mark.file != name, d.mark.line, d.mark.column, d.code)
    )
    shown = [
        _render_one(diagnostic, lines.get(diagnostic.mark.file, ()), diagnostic.mark)
        for diagnostic in ordered
    ]
    count = f"{len(ordered)} error" + ("" if len(ordered) == 1 else "s")
    more = (
        f"\nfor the meaning of a code, with an example: pipeline explain {ordered[0].code}"
        if ordered
        else ""
    )
    return "\n\n".join(shown) + f"\n\n{count} in {name}; nothing was started." + more


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the nearest known word, or list a few of them."""
    names = sorted(known)
    if near := difflib.get_close_matches(word, names, n=1, cutoff=0.6):
        return f"did you mean {near[0]!r}?"
    return "known: " + ", ".join(names[:12]) if names else ""


def _render_one(diagnostic: Diagnostic, lines: Sequence[str], mark: Mark) -> str:
    gutter = len(str(mark.line))
    out = [
        f"error[{diagnostic.code}]: {diagnostic.message}",
        f"{' ' * gutter}--> {mark.file}:{mark.line}:{mark.column}",
    ]
    if 0 < mark.line <= len(lines):
        begin = max(0, mark.column - _BEFORE)
        source = lines[mark.line - 1].replace("\t", " ")[begin : begin + _LINE]
        column = mark.column - begin
        width = max(1, min(mark.width, len(source) - column + 1))
        out += [
            f"{' ' * gutter} |",
            f"{mark.line} | {source}",
            f"{' ' * gutter} | {' ' * (column - 1)}{'^' * width}",
        ]
    if diagnostic.help:
        out.append(f"help: {diagnostic.help}")
    return "\n".join(out)
