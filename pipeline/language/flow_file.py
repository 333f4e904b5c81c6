"""The text of `agents/flow.yaml` into a `Flow`, collecting every error on the way.

The marked tree (`language/flow_yaml`) is walked along the types of `language/flow`. A value that is
wrong is left out of the `Flow`, so that the checks between its parts (`language/flow_check`) can go
on and all errors are shown at once. `Source` keeps the place of every value, so that those checks
can point at a line, too.
"""

import re
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from pipeline.errors import UsageProblem
from pipeline.language import globs
from pipeline.language.diagnostics import did_you_mean
from pipeline.language.flow import Flow
from pipeline.language.flow_source import Path, Source, where
from pipeline.language.flow_yaml import Tree, merged, read
from pipeline.language.words import Count, Duration, Expression, Glob, Name, Template

S = TypeVar("S", bound=msgspec.Struct)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,47}")
_NAME_HINT = "a letter, then letters, digits, - and _; at most 48 characters"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_PLACEHOLDER = re.compile(r"\{\{ *([A-Za-z][A-Za-z0-9_-]*\.)?(source|tests|docs) *\}\}")
_COUNT = re.compile(r"(\d+(?:\.\d+)?)([kMG]?)")
_TIMES = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "jobs": ("workflows", "stages"), "steps": ("run: |",), "if": ("when",), "with": ("inputs",),
    "uses": ("workflow",), "matrix": ("foreach",), "strategy": ("foreach",),
    "environment": ("approval",), "depends_on": ("needs",), "script": ("run",), "cmd": ("run",),
    "command": ("run",), "continue-on-error": ("on_failure: continue",),
    "timeout-minutes": ("timeout: 30m",), "concurrency": ("lock",), "parameters": ("inputs",),
    "variables": ("env",), "artifacts": ("outputs",), "on": ("triggers",),
    "permissions": ("writes", "defaults"),
}  # fmt: skip
"""Keys of other tools, with the key that means the same here."""

_NOT_HERE = {
    "runs-on": "stages run on this machine; leave it out",
    "name": "the name is what comes before the colon; leave it out",
    "secrets": "agents see what `pass_env` of their role names",
}
"""Keys of other tools that have no counterpart here."""

_TYPE_NAMES: Mapping[object, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


class _Key(msgspec.Struct, frozen=True):
    """A key of a mapping: the struct's field, its type, and whether it must be there.

    The key in the file is the field's encoded name: `timeout` for the field `timeout_s`.
    """

    field: str
    hint: Any
    required: bool


def parse(text: str, name: str, builtins: Mapping[str, str]) -> tuple[Flow, Source]:
    """Read a flow file.

    `name` is what messages call it, `builtins` are the shipped flows it may extend. Errors are kept
    in the source, and what is wrong is left out of the flow. Raises `UsageProblem` only when
    there is nothing left to check.
    """
    source = Source(text, name)
    tree, errors = read(text, name)
    source.diagnostics += errors
    source.is_incomplete = bool(errors)
    if tree is not None:
        tree = _extended(source, tree, builtins)
    if tree is None or not isinstance(tree.value, dict):
        if tree is not None:
            _wrong_type(source, tree, (), "a mapping")
        source.raise_errors()
    flow = _struct(source, tree, Flow, ()) if tree is not None else None
    if flow is None:
        raise UsageProblem(f"{name} could not be read")
    if flow.version != 1 and not source.has_error(("version",)):
        message = f"version {flow.version} is not supported"
        source.error("F114", ("version",), message, "write: version: 1")
    return flow, source


def _extended(source: Source, tree: Tree, builtins: Mapping[str, str]) -> Tree:
    """Merge the file onto the shipped flow that it extends, if it extends one."""
    entry = tree.value.get("extends") if isinstance(tree.value, dict) else None
    if entry is None or not isinstance(entry.tree.value, str):
        return tree
    name = entry.tree.value
    if name not in builtins:
        source.note(("extends",), entry.tree.mark)
        source.require_known(("extends",), name, builtins, "shipped flow")
        source.is_incomplete = True
        return tree
    source.texts[name] = builtins[name]
    base, errors = read(builtins[name], name)
    source.diagnostics += errors
    return merged(base, tree, source.diagnostics, source.removed) if base is not None else tree


def parse_duration(text: str) -> float | None:
    """Turn `90s`, `30m`, `1.5h`, `250ms` or `7d` into seconds; None for anything else."""
    match = _DURATION.fullmatch(text)
    return float(match[1]) * _SECONDS[match[2]] if match else None


def parse_count(value: object) -> int | None:
    """Turn `5M`, `200k` or a plain number into a number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    match = _COUNT.fullmatch(str(value))
    return int(float(match[1]) * _TIMES[match[2]]) if match else None


def _struct(source: Source, tree: Tree, kind: type[S], path: Path) -> S | None:
    """Build a struct from a mapping.

    Keys that are wrong are left out, so that the rest can be checked.
    """
    shorthand: str = getattr(kind, "shorthand", "")
    values: dict[str, Any] = {}
    keys = _keys(kind)
    if shorthand and not isinstance(tree.value, dict | list):
        source.note(path, tree.mark)
        values[shorthand] = _value(source, tree, keys[shorthand].hint, path)
    elif not isinstance(tree.value, dict):
        _wrong_type(source, tree, path, "a mapping")
        return None
    else:
        for key, entry in tree.value.items():
            source.note_key((*path, key), entry.key)
            if key not in keys:
                message = f"unknown key {key!r}" + (f" in {where(path)}" if path else "")
                source.error("F110", (*path, key), message, _key_hint(key, keys))
            else:
                values[key] = _value(source, entry.tree, keys[key].hint, (*path, key))
    values = {key: value for key, value in values.items() if value is not None}
    for key in _required(kind):
        if key not in values:
            if path or not source.is_incomplete:
                message = f"{where(path)} has no key {key!r}"
                source.error("F111", path, message, f"add {key}: ...", missing=key)
            values[key] = _stand_in(keys[key].hint)
    return kind(**{keys[key].field: value for key, value in values.items()})


def _key_hint(key: str, known: Mapping[str, object]) -> str:
    """Suggest the key that was meant: one that other tools call so, else the one most like it."""
    ours = next((word for word in _ELSEWHERE.get(key, ()) if word.partition(":")[0] in known), "")
    if ours:
        return f"here this is called `{ours}`"
    return _NOT_HERE.get(key) or did_you_mean(key, known)


def _stand_in(hint: Any) -> Any:
    """Return a value for a required key that is missing.

    It is never used: the error about the missing key stops the run.
    """
    origin = typing.get_origin(hint) or hint
    if isinstance(origin, type) and issubclass(origin, msgspec.Struct):
        keys = _keys(origin)
        return origin(**{keys[key].field: _stand_in(keys[key].hint) for key in _required(origin)})
    return {tuple: (), dict: {}, int: 1}.get(origin, "")


def _required(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(name for name, key in _keys(kind).items() if key.required)


@lru_cache(maxsize=64)
def _keys(kind: type[msgspec.Struct]) -> dict[str, _Key]:
    """Return the keys of a mapping of this type, by their name in the file."""
    hints = typing.get_type_hints(kind)
    return {
        field.encode_name: _Key(field.name, hints[field.name], field.required)
        for field in msgspec.structs.fields(kind)
    }


def _value(source: Source, tree: Tree, hint: Any, path: Path) -> Any:
    """Turn a tree into a value of the hinted type; None, and an error, if it does not have it."""
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
    source.note_text(path, tree.mark)
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
    return tuple(item for item in items if item is not None)


def _mapping(source: Source, tree: Tree, hint: Any, path: Path) -> Any:
    if not isinstance(tree.value, dict):
        return _wrong_type(source, tree, path, "a mapping of names")
    values: dict[str, Any] = {}
    for key, entry in tree.value.items():
        source.note_key((*path, key), entry.key)
        if not _NAME.fullmatch(key):
            source.error("F114", (*path, key), f"{key!r} is not a valid name", _NAME_HINT)
        value = _value(source, entry.tree, hint, (*path, key))
        values[key] = _stand_in(hint) if value is None else value
        source.note((*path, key), entry.key)
    return values


def _word(source: Source, tree: Tree, hint: type[StrEnum], path: Path) -> Any:
    known = [word.value for word in hint]
    if tree.value in known:
        return hint(str(tree.value))
    near = did_you_mean(str(tree.value), known)
    source.error("F114", path, f"{tree.value!r} is not an allowed value", near)
    return None


def _scalar(source: Source, tree: Tree, hint: Any, path: Path) -> Any:
    value = tree.value
    if hint is Duration:
        return _duration(source, tree, path)
    if hint is Count:
        count = parse_count(value)
        if count is None:
            return _wrong_type(source, tree, path, "a number like 5000, 200k or 5M")
        return count
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    wanted = str if hint in (Name, Glob, Template, Expression) else hint
    if wanted is str and isinstance(value, int | float) and not isinstance(value, bool):
        return _wrong_type(source, tree, path, 'text (put it in quotes: "...")')
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        return _wrong_type(source, tree, path, _TYPE_NAMES[wanted])
    if hint is Name and not _NAME.fullmatch(str(value)):
        source.error("F114", path, f"{value!r} is not a valid name", _NAME_HINT)
    if hint is Glob and not _PLACEHOLDER.fullmatch(str(value)):
        _check_glob(source, str(value), path)
    return value


def _check_glob(source: Source, pattern: str, path: Path) -> None:
    if reason := globs.why_invalid(pattern):
        alone = "{{ source }}, {{ tests }} and {{ docs }} must be the whole pattern"
        hint = alone if "{{" in pattern else ""
        source.error("F211", path, f"not a path pattern: {reason}", hint)


def _duration(source: Source, tree: Tree, path: Path) -> Any:
    seconds = parse_duration(str(tree.value))
    if seconds is None or seconds <= 0:
        return _wrong_type(source, tree, path, "a time like 90s, 30m or 2h")
    return seconds


def _wrong_type(source: Source, tree: Tree, path: Path, wanted: str) -> Any:
    source.note(path, tree.mark)
    match tree.value:
        case dict():
            actual = "a mapping"
        case list():
            actual = "a list"
        case None:
            actual = "empty"
        case _:
            actual = repr(tree.value)[:60]
    source.error("F112", path, f"{where(path)} must be {wanted}, not {actual}")
    return None
