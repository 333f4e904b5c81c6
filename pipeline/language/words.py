"""The plain values of a flow file, as types: what a text or a number stands for there."""

from typing import ClassVar, NewType

import msgspec

Duration = NewType("Duration", float)
Count = NewType("Count", int)
Glob = NewType("Glob", str)
Name = NewType("Name", str)
Template = NewType("Template", str)
Expression = NewType("Expression", str)


def says(text: str) -> msgspec.Meta:
    """Describe a field; the reference and the editors' schema show it."""
    return msgspec.Meta(description=text)


class File(msgspec.Struct, frozen=True, omit_defaults=True):
    """A mapping of the flow file; `shorthand` names the field that a bare value stands for."""

    shorthand: ClassVar[str] = ""
