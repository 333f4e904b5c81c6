"""The flow language as JSON Schema, for editors; generated from the types of `language/flow`.

It covers keys, allowed words and formats. Rules between the parts of a flow are checked only by
`pipeline flow check`. Only the version is `required`, because a file with `extends` may leave out
everything else.
"""

import types
import typing
from enum import StrEnum
from typing import Any

import msgspec

from pipeline.language.flow import Flow
from pipeline.language.words import Count, Duration

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAME = "^[A-Za-z][A-Za-z0-9_-]{0,47}$"
_DURATION = r"^\d+(\.\d+)?(ms|s|m|h|d)$"
_COUNT = r"^\d+(\.\d+)?[kMG]?$"
_PLAIN: dict[Any, dict[str, Any]] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Duration: {"type": "string", "pattern": _DURATION},
    Count: {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": _COUNT}]},
}


def flow_schema() -> dict[str, Any]:
    """Return the schema of a flow file."""
    definitions: dict[str, Any] = {}
    _define(Flow, definitions)
    definitions["Flow"]["required"] = ["version"]
    return {
        "$schema": DIALECT,
        "title": "idea-to-pr flow",
        "$ref": "#/$defs/Flow",
        "$defs": definitions,
    }


def _define(kind: type[msgspec.Struct], definitions: dict[str, Any]) -> None:
    """Add the definitions of a struct and of the structs it contains."""
    if kind.__name__ in definitions:
        return
    definitions[kind.__name__] = {}
    hints = typing.get_type_hints(kind, include_extras=True)
    definitions[kind.__name__] = {
        "type": "object",
        "description": (kind.__doc__ or "").strip(),
        "additionalProperties": False,
        "properties": {
            field.encode_name: _field(hints[field.name], definitions)
            for field in msgspec.structs.fields(kind)
        },
    }


def _field(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    metas = [part for part in getattr(hint, "__metadata__", ()) if isinstance(part, msgspec.Meta)]
    inner = _of(hint, definitions)
    return {
        "description": next((meta.description for meta in metas), "") or "",
        "anyOf": [inner, {"type": "null"}],
    }


def _of(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hasattr(hint, "__metadata__"):
        return _of(arguments[0], definitions)
    if origin in (typing.Union, types.UnionType):
        return _of(next(one for one in arguments if one is not type(None)), definitions)
    if origin is tuple:
        one = _of(arguments[0], definitions)
        return {"anyOf": [one, {"type": "array", "items": one}]}
    if origin is dict:
        value = {"anyOf": [_of(arguments[1], definitions), {"type": "null"}]}
        return {
            "type": "object",
            "propertyNames": {"pattern": _NAME},
            "additionalProperties": value,
        }
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {"enum": [word.value for word in hint]}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _struct(hint, definitions)
    return _PLAIN.get(hint, {"type": "string"})


def _struct(kind: type[msgspec.Struct], definitions: dict[str, Any]) -> dict[str, Any]:
    _define(kind, definitions)
    reference = {"$ref": f"#/$defs/{kind.__name__}"}
    shorthand: str = getattr(kind, "shorthand", "")
    if not shorthand:
        return reference
    return {"anyOf": [reference, _of(typing.get_type_hints(kind)[shorthand], definitions)]}
