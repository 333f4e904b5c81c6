"""`{{ name }}` in values of a flow.

Plain variables only, found when the flow is read, filled in when a stage starts.

The names are those of expressions (`inputs.idea`, `item.title`, `planner.plan.size`) and `run.id`,
`run.feature`. They reach commands as environment variables, never as part of a command line.
"""

import re
from collections.abc import Callable

from pipeline.language.expressions import Name, Unanswerable

RUN_NAMES: tuple[Name, ...] = (("run", "id"), ("run", "feature"))

_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


def places(text: str) -> list[tuple[str, int]]:
    """List what stands between double braces, with the offset of each; it need not be a name."""
    return [(found[1].strip(), found.start()) for found in _PLACE.finditer(text)]


def is_name(word: str) -> bool:
    """Tell whether a word has the form of a variable."""
    return _NAME.fullmatch(word) is not None


def fill(text: str, value_of: Callable[[Name], object]) -> str:
    """Put values in the place of names; what was filled in is never looked at again.

    Raises `Unanswerable`.
    """

    def value(found: re.Match[str]) -> str:
        value = value_of(tuple(found[1].strip().split(".")))
        if isinstance(value, list | dict):
            raise Unanswerable(f"{found[1].strip()!r} is not a plain value")
        return (
            str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
        )

    return _PLACE.sub(value, text)
