"""The text of `agents/flow.yaml` into a `Flow`, with every complaint at once.

The marked tree (`core/flow_yaml`) is walked against the types of `core/flow`. `Source` keeps the
place of every value, so that later checks (`core/flow_check`) can point at a line too.
"""

import re
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from pipeline.core import globs
from pipeline.core.diagnostics import Diagnostic, Mark, did_you_mean, render
from pipeline.core.flow import Duration, Flow, Glob, Name
from pipeline.core.flow_yaml import Tree, read
from pipeline.errors import UsageProblem

Path = tuple[str | int, ...]
S = TypeVar("S", bound=msgspec.Struct)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,47}")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_STANDS_FOR = re.compile(r"\{\{ *(source|tests) *\}\}")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BUILTIN: Mapping[object, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class Source:
    """A flow file being read: its text and name, the places of its values, its complaints."""

    def __init__(self, text: str, name: str) -> None:
        """Start with no complaints; `name` is how messages call the file."""
        self.text = text
        self.name = name
        self.complaints: list[Diagnostic] = []
        self._marks: dict[Path, Mark] = {}

    def complain(self, code: str, path: Path, message: str, mend: str = "") -> None:
        """Add a complaint at the place of `path`, or of the nearest thing around it."""
        self.complaints.append(Diagnostic(code=code, message=message, mark=self.mark(path), help=mend))

    def note(self, path: Path, mark: Mark) -> None:
        """Remember where the value at `path` stands."""
        self._marks[path] = mark

    def mark(self, path: Path) -> Mark:
        """Return the place of `path`, or of the nearest thing around it."""
        while path and path not in self._marks:
            path = path[:-1]
        return self._marks.get(path, Mark(1, 1))

    def raise_complaints(self) -> None:
        """Raise all complaints as one `UsageProblem`; return when there are none."""
        if self.complaints:
            raise UsageProblem(render(self.complaints, self.text, self.name))


def parse(text: str, name: str) -> tuple[Flow, Source]:
    """Read a flow file; `name` is how messages call it. Raises `UsageProblem` with all complaints."""
    source = Source(text, name)
    tree, complaints = read(text)
    source.complaints += complaints
    flow = _struct(source, tree, Flow, ()) if tree is not None else None
    source.raise_complaints()
    if flow is None:
        raise UsageProblem(f"{name} could not be read")
    if flow.version != 1:
        source.complain("F114", ("version",), f"version {flow.version} is not known here", "write: version: 1")
        source.raise_complaints()
    return flow, source


def parse_duration(text: str) -> float | None:
    """Turn `90s`, `30m`, `1.5h`, `250ms` or `7d` into seconds; None when it is none of these."""
    found = _DURATION.fullmatch(text)
    return float(found[1]) * _SECONDS[found[2]] if found else None


def _struct(source: Source, tree: Tree, kind: type[S], path: Path) -> S | None:
    shorthand: str = getattr(kind, "shorthand", "")
    if shorthand and not isinstance(tree.value, dict | list):
        source.note(path, tree.mark)
        inner = _value(source, tree, _hints(kind)[shorthand], path)
        return None if inner is None else kind(**{shorthand: inner})
    if not isinstance(tree.value, dict):
        _wrong(source, tree, path, "a mapping")
        return None
    hints = _hints(kind)
    values: dict[str, Any] = {}
    for key, entry in tree.value.items():
        source.note((*path, key), entry.key)
        if key not in hints:
            message = f"unknown key {key!r}" + (f" in {_where(path)}" if path else "")
            source.complain("F110", (*path, key), message, did_you_mean(key, hints))
        else:
            values[key] = _value(source, entry.tree, hints[key], (*path, key))
    for field in msgspec.structs.fields(kind):
        if field.required and field.name not in tree.value:
            source.complain("F111", path, f"{_where(path)} has no key {field.name!r}", f"add {field.name}: ...")
            values[field.name] = None
    if any(values[name] is None and _needs_value(hints[name]) for name in values):
        return None
    return kind(**values)


def _needs_value(hint: Any) -> bool:
    return type(None) not in typing.get_args(hint)


@lru_cache(maxsize=64)
def _hints(kind: type[msgspec.Struct]) -> dict[str, Any]:
    known = {field.name for field in msgspec.structs.fields(kind)}
    return {name: hint for name, hint in typing.get_type_hints(kind).items() if name in known}


def _value(source: Source, tree: Tree, hint: Any, path: Path) -> Any:
    """Turn a tree into a value of the hinted type; None (with a complaint) when it is not one."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        if tree.value is None:
            return None
        return _value(source, tree, options[0], path)
    if origin is tuple:
        return _list(source, tree, typing.get_args(hint)[0], path)
    if origin is dict:
        return _mapping(source, tree, typing.get_args(hint)[1], path)
    source.note(path, tree.mark)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _struct(source, tree, hint, path)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _word(source, tree, hint, path)
    return _scalar(source, tree, hint, path)


def _list(source: Source, tree: Tree, hint: Any, path: Path) -> Any:
    if not isinstance(tree.value, list):
        one = _value(source, tree, hint, path)
        return None if one is None else (one,)
    items = [_value(source, item, hint, (*path, index)) for index, item in enumerate(tree.value)]
    return None if any(item is None for item in items) else tuple(items)


def _mapping(source: Source, tree: Tree, hint: Any, path: Path) -> Any:
    if not isinstance(tree.value, dict):
        return _wrong(source, tree, path, "a mapping of names")
    values: dict[str, Any] = {}
    for key, entry in tree.value.items():
        source.note((*path, key), entry.key)
        if not _NAME.fullmatch(key):
            mend = "a letter, then letters, digits, - and _; 48 at most"
            source.complain("F114", (*path, key), f"{key!r} cannot be a name", mend)
        values[key] = _value(source, entry.tree, hint, (*path, key))
        source.note((*path, key), entry.key)
    return None if any(value is None for value in values.values()) else values


def _word(source: Source, tree: Tree, hint: type[StrEnum], path: Path) -> Any:
    known = [word.value for word in hint]
    if tree.value in known:
        return hint(str(tree.value))
    source.complain("F114", path, f"{tree.value!r} is not known here", did_you_mean(str(tree.value), known))
    return None


def _scalar(source: Source, tree: Tree, hint: Any, path: Path) -> Any:
    value = tree.value
    if hint is Duration:
        return _duration(source, tree, path)
    wanted = str if hint in (Name, Glob) else hint
    if wanted is str and isinstance(value, int | float) and not isinstance(value, bool):
        return _wrong(source, tree, path, 'text (put it in quotes: "...")')
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        return _wrong(source, tree, path, _BUILTIN[wanted])
    if hint is Name and not _NAME.fullmatch(str(value)):
        mend = "a letter, then letters, digits, - and _; 48 at most"
        source.complain("F114", path, f"{value!r} cannot be a name", mend)
    if hint is Glob and not _STANDS_FOR.fullmatch(str(value)) and (found := globs.complaint(str(value))):
        mend = "{{ source }} and {{ tests }} stand alone" if "{{" in str(value) else ""
        source.complain("F211", path, f"not a path pattern: {found}", mend)
    return value


def _duration(source: Source, tree: Tree, path: Path) -> Any:
    seconds = parse_duration(str(tree.value))
    if seconds is None or seconds <= 0:
        return _wrong(source, tree, path, "a time like 90s, 30m or 2h")
    return seconds


def _wrong(source: Source, tree: Tree, path: Path, wanted: str) -> Any:
    source.note(path, tree.mark)
    match tree.value:
        case dict():
            found = "a mapping"
        case list():
            found = "a list"
        case None:
            found = "nothing"
        case _:
            found = repr(tree.value)[:60]
    source.complain("F112", path, f"{_where(path)} must be {wanted}, not {found}")
    return None


def _where(path: Path) -> str:
    return ".".join(str(part) for part in path) or "the file"
