"""What is wrong with a file a person wrote: where, what, and the mend.

Shown like a compiler does.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

_LINE, _BEFORE = 200, 150
"""How much of a long line is shown, and how much of that at most before the place that is meant."""


class Mark(msgspec.Struct, frozen=True):
    """A place in a text: 1-based line and column, how many letters are meant, and in which file."""

    line: int
    column: int
    width: int = 1
    file: str = ""


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True):
    """One complaint: a stable code, the sentence, the place, and the mend."""

    code: str
    message: str
    mark: Mark
    help: str = ""


def render(diagnostics: Sequence[Diagnostic], texts: Mapping[str, str], name: str) -> str:
    """Show all complaints, in the order of their lines.

    `texts` holds each file by name, `name` is the main one.
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
        f"\nwhat a code means, with an example: pipeline explain {ordered[0].code}"
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
