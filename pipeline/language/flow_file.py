"""The text of `agents/flow.yaml` into a `Flow`, with every complaint kept for the end.

The marked tree (`language/flow_yaml`) is walked against the types of `language/flow`. What is wrong
is left out of the `Flow`, so that the checks between its parts (`language/flow_check`) can go on
and all complaints are shown at once. `Source` keeps the place of every value, so that those can
point at a line too.
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
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_STANDS_FOR = re.compile(r"\{\{ *([A-Za-z][A-Za-z0-9_-]*\.)?(source|tests) *\}\}")
_COUNT = re.compile(r"(\d+(?:\.\d+)?)([kMG]?)")
_TIMES = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "jobs": ("workflows", "stages"), "steps": ("run: |",), "if": ("when",), "with": ("inputs",), "uses": ("workflow",),
    "matrix": ("foreach",), "strategy": ("foreach",), "environment": ("approval",), "depends_on": ("needs",),
    "script": ("run",), "cmd": ("run",), "command": ("run",), "continue-on-error": ("on_failure: continue",),
    "timeout-minutes": ("timeout: 30m",), "concurrency": ("lock",), "parameters": ("inputs",),
    "variables": ("env",), "artifacts": ("outputs",), "on": ("triggers",), "permissions": ("writes", "defaults"),
}  # fmt: skip
"""What other tools call a key of ours."""

_NOT_HERE = {
    "runs-on": "stages run on this machine; leave it out",
    "name": "the name stands before the colon; leave it out",
    "secrets": "agents see what `pass_env` of their role names",
}
"""Keys of other tools that have no like here."""

_BUILTIN: Mapping[object, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def parse(text: str, name: str, builtins: Mapping[str, str]) -> tuple[Flow, Source]:
    """Read a flow file.

    `name` is how messages call it, `builtins` are the shipped flows it may extend.

    What is wrong stands in the source's complaints and is left out of the flow. Raises
    `UsageProblem` only when there is nothing to go on with.
    """
    source = Source(text, name)
    tree, complaints = read(text, name)
    source.complaints += complaints
    source.is_torn = bool(complaints)
    if tree is not None:
        tree = _extended(source, tree, builtins)
    if tree is None or not isinstance(tree.value, dict):
        if tree is not None:
            _wrong(source, tree, (), "a mapping")
        source.raise_complaints()
    flow = _struct(source, tree, Flow, ()) if tree is not None else None
    if flow is None:
        raise UsageProblem(f"{name} could not be read")
    if flow.version != 1 and not source.is_broken(("version",)):
        source.complain(
            "F114", ("version",), f"version {flow.version} is not known here", "write: version: 1"
        )
    return flow, source


def _extended(source: Source, tree: Tree, builtins: Mapping[str, str]) -> Tree:
    """Put the file on the shipped flow that it names."""
    entry = tree.value.get("extends") if isinstance(tree.value, dict) else None
    if entry is None or not isinstance(entry.tree.value, str):
        return tree
    name = entry.tree.value
    if name not in builtins:
        source.note(("extends",), entry.tree.mark)
        source.require_known(("extends",), name, builtins, "shipped flow")
        source.is_torn = True
        return tree
    source.texts[name] = builtins[name]
    base, complaints = read(builtins[name], name)
    source.complaints += complaints
    return merged(base, tree, source.complaints, source.removed) if base is not None else tree


def parse_duration(text: str) -> float | None:
    """Turn `90s`, `30m`, `1.5h`, `250ms` or `7d` into seconds; None when it is none of these."""
    found = _DURATION.fullmatch(text)
    return float(found[1]) * _SECONDS[found[2]] if found else None


def parse_count(value: object) -> int | None:
    """Turn `5M`, `200k` or a plain number into a number; None when it is none of these."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    found = _COUNT.fullmatch(str(value))
    return int(float(found[1]) * _TIMES[found[2]]) if found else None


def _struct(source: Source, tree: Tree, kind: type[S], path: Path) -> S | None:
    """Make a struct of a mapping.

    Keys that are wrong are left out, so that the rest can be checked.
    """
    shorthand: str = getattr(kind, "shorthand", "")
    values: dict[str, Any] = {}
    hints = _hints(kind)
    if shorthand and not isinstance(tree.value, dict | list):
        source.note(path, tree.mark)
        values[shorthand] = _value(source, tree, hints[shorthand], path)
    elif not isinstance(tree.value, dict):
        _wrong(source, tree, path, "a mapping")
        return None
    else:
        for key, entry in tree.value.items():
            source.note_key((*path, key), entry.key)
            if key not in hints:
                message = f"unknown key {key!r}" + (f" in {where(path)}" if path else "")
                source.complain("F110", (*path, key), message, _key_mend(key, hints))
            else:
                values[key] = _value(source, entry.tree, hints[key], (*path, key))
    values = {name: value for name, value in values.items() if value is not None}
    for name in _required(kind):
        if name not in values:
            if path or not source.is_torn:
                message = f"{where(path)} has no key {name!r}"
                source.complain("F111", path, message, f"add {name}: ...", missing=name)
            values[name] = _stand_in(hints[name])
    return kind(**values)


def _key_mend(key: str, known: Mapping[str, object]) -> str:
    """Suggest the key that was meant: what other tools call so goes before what looks alike."""
    ours = next((word for word in _ELSEWHERE.get(key, ()) if word.partition(":")[0] in known), "")
    if ours:
        return f"here that is called `{ours}`"
    return _NOT_HERE.get(key) or did_you_mean(key, known)


def _stand_in(hint: Any) -> Any:
    """Stand in for a required value that is missing.

    The complaint about it keeps it from being used.
    """
    origin = typing.get_origin(hint) or hint
    if isinstance(origin, type) and issubclass(origin, msgspec.Struct):
        return origin(**{name: _stand_in(_hints(origin)[name]) for name in _required(origin)})
    return {tuple: (), dict: {}, int: 1}.get(origin, "")


@lru_cache(maxsize=64)
def _required(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(kind) if field.required)


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
        return _wrong(source, tree, path, "a mapping of names")
    values: dict[str, Any] = {}
    for key, entry in tree.value.items():
        source.note_key((*path, key), entry.key)
        if not _NAME.fullmatch(key):
            mend = "a letter, then letters, digits, - and _; 48 at most"
            source.complain("F114", (*path, key), f"{key!r} cannot be a name", mend)
        value = _value(source, entry.tree, hint, (*path, key))
        values[key] = _stand_in(hint) if value is None else value
        source.note((*path, key), entry.key)
    return values


def _word(source: Source, tree: Tree, hint: type[StrEnum], path: Path) -> Any:
    known = [word.value for word in hint]
    if tree.value in known:
        return hint(str(tree.value))
    source.complain(
        "F114", path, f"{tree.value!r} is not known here", did_you_mean(str(tree.value), known)
    )
    return None


def _scalar(source: Source, tree: Tree, hint: Any, path: Path) -> Any:
    value = tree.value
    if hint is Duration:
        return _duration(source, tree, path)
    if hint is Count:
        count = parse_count(value)
        return (
            _wrong(source, tree, path, "a number like 5000, 200k or 5M") if count is None else count
        )
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    wanted = str if hint in (Name, Glob, Template, Expression) else hint
    if wanted is str and isinstance(value, int | float) and not isinstance(value, bool):
        return _wrong(source, tree, path, 'text (put it in quotes: "...")')
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        return _wrong(source, tree, path, _BUILTIN[wanted])
    if hint is Name and not _NAME.fullmatch(str(value)):
        mend = "a letter, then letters, digits, - and _; 48 at most"
        source.complain("F114", path, f"{value!r} cannot be a name", mend)
    if (
        hint is Glob
        and not _STANDS_FOR.fullmatch(str(value))
        and (found := globs.complaint(str(value)))
    ):
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
    source.complain("F112", path, f"{where(path)} must be {wanted}, not {found}")
    return None
