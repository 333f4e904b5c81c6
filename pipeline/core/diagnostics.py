"""What is wrong with a file a person wrote: where, what, and the mend; shown like a compiler does."""

import difflib
from collections.abc import Iterable, Sequence

import msgspec


class Mark(msgspec.Struct, frozen=True):
    """A place in a text: 1-based line and column, and how many letters are meant."""

    line: int
    column: int
    width: int = 1


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True):
    """One complaint: a stable code, the sentence, the place, and the mend."""

    code: str
    message: str
    mark: Mark
    help: str = ""


def render(diagnostics: Sequence[Diagnostic], text: str, name: str) -> str:
    """Show all complaints about `text` (the file called `name`), in the order of their lines."""
    lines = text.splitlines()
    ordered = sorted(diagnostics, key=lambda d: (d.mark.line, d.mark.column, d.code))
    shown = [_render_one(diagnostic, lines, name) for diagnostic in ordered]
    count = f"{len(ordered)} error" + ("" if len(ordered) == 1 else "s")
    return "\n\n".join(shown) + f"\n\n{count} in {name}; nothing was started."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the nearest known word, or list a few of them."""
    names = sorted(known)
    if near := difflib.get_close_matches(word, names, n=1, cutoff=0.6):
        return f"did you mean {near[0]!r}?"
    return "known: " + ", ".join(names[:12]) if names else ""


def _render_one(diagnostic: Diagnostic, lines: Sequence[str], name: str) -> str:
    mark = diagnostic.mark
    gutter = len(str(mark.line))
    out = [
        f"error[{diagnostic.code}]: {diagnostic.message}",
        f"{' ' * gutter}--> {name}:{mark.line}:{mark.column}",
    ]
    if 0 < mark.line <= len(lines):
        source = lines[mark.line - 1].replace("\t", " ")[:200]
        width = max(1, min(mark.width, len(source) - mark.column + 1))
        out += [
            f"{' ' * gutter} |",
            f"{mark.line} | {source}",
            f"{' ' * gutter} | {' ' * (mark.column - 1)}{'^' * width}",
        ]
    if diagnostic.help:
        out.append(f"help: {diagnostic.help}")
    return "\n".join(out)
