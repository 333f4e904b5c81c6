"""Find, check and fill in `{{ name }}` in the values of a flow.

Only plain names can be used, no expressions. They are those of expressions (`inputs.idea`,
`item.title`, `planner.plan.size`) and `run.id`, `run.feature`. The values reach commands as
environment variables, never as part of a command line.
"""

import re
from collections.abc import Callable

from pipeline.language.expressions import DottedName, Unanswerable

RUN_NAMES: tuple[DottedName, ...] = (("run", "id"), ("run", "feature"))

_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


def places(text: str) -> list[tuple[str, int]]:
    """Return every text between double braces, with its offset; it need not be a valid name."""
    return [(match[1].strip(), match.start()) for match in _PLACE.finditer(text)]


def is_name(word: str) -> bool:
    """Return whether a word has the form of a dotted name."""
    return _NAME.fullmatch(word) is not None


def fill(text: str, value_of: Callable[[DottedName], object]) -> str:
    """Replace the names with their values; a value that was filled in is never expanded again.

    Raises `Unanswerable`.
    """

    def replacement(match: re.Match[str]) -> str:
        value = value_of(tuple(match[1].strip().split(".")))
        if isinstance(value, list | dict):
            raise Unanswerable(f"{match[1].strip()!r} is not a plain value")
        return (
            str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
        )

    return _PLACE.sub(replacement, text)
