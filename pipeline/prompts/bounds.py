"""A sandbox for templates that is bounded: in time, in the size of what it makes, in memory.

The sandbox of Jinja2 keeps a template from reaching objects; that of an operating system would keep
it from running for ever. Templates come from the repository that a run works on, so a loop in one
must end with an error and not with a pipeline that hangs.
"""

import resource
import sys
from collections.abc import Callable, Iterable, Mapping
from types import FrameType
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, filters
from jinja2.loaders import DictLoader
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipeline.files.clocks import Deadline

CHARACTERS_MAX = 400_000
_TEMPLATE_FILE = "<template>"
"""What Jinja2 calls the file of a template that it did not read from one."""

_TIME_S = 5.0
_MEMORY_MAX_BYTES = 256 * 1024 * 1024
_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024
_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float",
    "groupby", "indent", "int", "items", "join", "last", "length", "list", "lower", "map", "max",
    "min", "reject", "rejectattr", "replace", "reverse", "round", "safe", "select", "selectattr",
    "sort", "string", "sum", "title", "tojson", "trim", "truncate", "unique", "upper", "wordcount",
)  # fmt: skip
_NOT_CALLED = frozenset({
    "center", "expandtabs", "format", "format_map", "join", "ljust", "replace", "rjust",
    "translate", "zfill",
})  # fmt: skip
"""Methods of text that make something as long as their arguments say."""


class TooMuch(TemplateError):  # noqa: N818 - what happened, as in `pipeline.errors`
    """A template made more, or took longer, than a prompt may."""


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Templates that see plain data, and make no more than a prompt may hold."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self, templates: Mapping[str, str]) -> None:
        """Take all templates by name; one may include others."""
        super().__init__(
            loader=DictLoader(dict(templates)),
            undefined=StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        known = {name: self.filters[name] for name in _FILTERS}
        self.filters = {**known, "join": _join, "replace": _replace, "indent": _indent}
        for name in ("lipsum", "cycler", "joiner"):
            del self.globals[name]

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Keep methods away that make text of any length."""
        if isinstance(obj, str) and attr in _NOT_CALLED:
            return False
        return bool(super().is_safe_attribute(obj, attr, value))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Calculate, unless the result would be too large."""
        sizes = [len(one) for one in (left, right) if isinstance(one, str | list | tuple)]
        numbers = [abs(one) for one in (left, right) if isinstance(one, int | float)]
        if operator == "%" and isinstance(left, str):
            raise TooMuch("text cannot be formatted with % here")
        if operator == "**" and numbers and max(numbers) > _EXPONENT_MAX:
            raise TooMuch(f"the numbers of ** go up to {_EXPONENT_MAX}")
        size = max(sizes, default=0) * (max(numbers, default=1) if operator == "*" else 2)
        if sizes and size > CHARACTERS_MAX:
            raise TooMuch(f"a value is longer than {CHARACTERS_MAX} characters")
        return super().call_binop(context, operator, left, right)


_EXPONENT_MAX = 1000


def _join(values: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    """Join like Jinja2, up to the longest prompt."""
    found = list(values)
    if attribute is not None:
        found = [getattr(one, attribute, one) for one in found]
    texts = [str(one) for one in found]
    _require(sum(map(len, texts)) + len(separator) * len(texts))
    return str(separator).join(texts)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    """Replace like Jinja2, up to the longest prompt."""
    times = str(text).count(str(old)) if count < 0 else min(count, str(text).count(str(old)))
    _require(len(str(text)) + times * len(str(new)))
    return str(text).replace(str(old), str(new), count)


def _indent(text: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:  # noqa: FBT001, FBT002 - as Jinja2 has it
    """Indent like Jinja2, up to the longest prompt."""
    size = len(width) if isinstance(width, str) else width
    _require(len(str(text)) + (str(text).count("\n") + 1) * size)
    return str(filters.do_indent(str(text), width, first, blank))


def _require(characters: int) -> None:
    if characters > CHARACTERS_MAX:
        raise TooMuch(f"a value is longer than {CHARACTERS_MAX} characters")


def bounded(template: Template, values: Mapping[str, Any]) -> str:
    """Fill in a template. Raises `TooMuch`, and whatever the template itself raises."""
    parts: list[str] = []
    size = 0
    before = sys.gettrace()
    sys.settrace(_watch())
    try:
        for part in template.generate(**values):
            size += len(part)
            if size > CHARACTERS_MAX:
                raise TooMuch(f"it is longer than {CHARACTERS_MAX} characters")
            parts.append(part)
    finally:
        sys.settrace(before)
    return "".join(parts)


def _watch() -> Callable[[FrameType, str, Any], Any]:
    """Return a trace function that looks at clock and memory at every line of a template."""
    deadline = Deadline(_TIME_S)
    most_bytes = _resident_bytes() + _MEMORY_MAX_BYTES

    def at_line(_frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            if not deadline.left_s:
                raise TooMuch(f"it takes longer than {_TIME_S:g} s")
            if _resident_bytes() > most_bytes:
                raise TooMuch("it takes too much memory")
        return at_line

    def at_call(frame: FrameType, _event: str, _: Any) -> Any:
        return at_line if frame.f_code.co_filename == _TEMPLATE_FILE else None

    return at_call


def _resident_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT_BYTES
