"""The scalar types of a flow file: what a text or a number means at a given key."""

from typing import ClassVar, NewType

import msgspec

Duration = NewType("Duration", float)
"""Seconds; written `90s`, `30m` or `2h` in the file."""

Count = NewType("Count", int)
"""A whole number; written `5000`, `200k` or `5M` in the file."""

Glob = NewType("Glob", str)
Name = NewType("Name", str)
Template = NewType("Template", str)
Expression = NewType("Expression", str)


def describe(text: str) -> msgspec.Meta:
    """Attach the description that the reference and the editors' schema show for a field."""
    return msgspec.Meta(description=text)


class File(msgspec.Struct, frozen=True, omit_defaults=True):
    """A mapping of the flow file; `shorthand` names the field that a bare value stands for."""

    shorthand: ClassVar[str] = ""
