"""YAML text into a marked tree, in a small and safe part of YAML 1.2.

Words like `on`, `no` and `12:30` stay text, duplicate keys are refused, and anchors, aliases, tags
and merge keys do not exist. Size, depth and node count are bounded before anything is built: the C
parser of PyYAML 6.0.3 crashes on 200,000 open brackets, and merge keys multiply.
"""

import re
from typing import Any

import msgspec
import yaml

from pipeline.core.diagnostics import Diagnostic, Mark

SIZE_MAX_BYTES = 256 * 1024
DEPTH_MAX = 32
NODES_MAX = 20_000

Scalar = str | int | float | bool | None

_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Scalar] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


class Tree(msgspec.Struct, frozen=True):
    """A value with its place: a scalar, a list, or a mapping with a place for each key."""

    value: "Scalar | list[Tree] | dict[str, Entry]"
    mark: Mark


class Entry(msgspec.Struct, frozen=True):
    """One key of a mapping: the key's own place, and the value."""

    key: Mark
    tree: Tree


def read(text: str) -> tuple[Tree | None, list[Diagnostic]]:
    """Read one document; return the tree (None when there is none) and all complaints."""
    try:
        if found := _refused(text):
            return None, [found]
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as exc:
        at = exc.problem_mark
        mark = Mark(at.line + 1, at.column + 1) if at else Mark(1, 1)
        return None, [Diagnostic(code="F101", message=f"not YAML: {exc.problem}", mark=mark)]
    except (yaml.YAMLError, UnicodeError) as exc:
        reason = str(exc).splitlines()[0]
        return None, [Diagnostic(code="F101", message=f"not YAML: {reason}", mark=_mark_of(exc, text))]
    if node is None:
        return None, [Diagnostic(code="F101", message="the file is empty", mark=Mark(1, 1))]
    complaints: list[Diagnostic] = []
    return _tree(node, complaints), complaints


def _mark_of(exc: Exception, text: str) -> Mark:
    """Find the place of a letter that YAML forbids."""
    position = getattr(exc, "position", None)
    if not isinstance(position, int):
        return Mark(1, 1)
    counts_bytes = _LOADER is not yaml.SafeLoader
    before = text.encode()[:position].decode("utf-8", "ignore") if counts_bytes else text[:position]
    return Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _refused(text: str) -> Diagnostic | None:  # noqa: C901 - one line for each thing that is refused
    """Look through the event stream, stopping at the first thing that is too much or banned."""
    if len(text.encode()) > SIZE_MAX_BYTES:
        return _no("F103", f"larger than {SIZE_MAX_BYTES // 1024} KiB", None)
    depth = nodes = documents = 0
    for event in yaml.parse(text, Loader=_LOADER):
        mark = event.start_mark
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                return _no("F102", "a second document in one file", mark)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            return _no("F102", "anchors and aliases are not part of the flow language", mark)
        if tag := getattr(event, "tag", None):
            return _no("F102", f"the tag {tag} is not part of the flow language", mark)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        nodes += isinstance(event, yaml.NodeEvent)
        if depth > DEPTH_MAX:
            return _no("F103", f"nested deeper than {DEPTH_MAX} levels", mark)
        if nodes > NODES_MAX:
            return _no("F103", f"more than {NODES_MAX} values", mark)
    return None


def _no(code: str, message: str, mark: Any) -> Diagnostic:
    return Diagnostic(code=code, message=message, mark=_place(mark))


def _place(mark: Any, width: int = 1) -> Mark:
    return Mark(mark.line + 1, mark.column + 1, max(width, 1)) if mark else Mark(1, 1)


def _tree(node: yaml.Node, complaints: list[Diagnostic]) -> Tree:
    if isinstance(node, yaml.ScalarNode):
        plain = not node.style  # None in the pure loader, empty in the C one
        width = len(node.value) + (0 if plain else 2)
        return Tree(_scalar(node.value) if plain else node.value, _place(node.start_mark, width))
    if isinstance(node, yaml.SequenceNode):
        return Tree([_tree(child, complaints) for child in node.value], _place(node.start_mark))
    entries: dict[str, Entry] = {}
    for key, value in node.value:
        mark = _place(key.start_mark, len(str(key.value)) if isinstance(key, yaml.ScalarNode) else 1)
        if not isinstance(key, yaml.ScalarNode):
            complaints.append(Diagnostic(code="F112", message="a key must be a word", mark=mark))
        elif key.value in entries:
            first = entries[key.value].key.line
            complaints.append(
                Diagnostic(
                    code="F113",
                    message=f"the key {key.value!r} stands twice",
                    mark=mark,
                    help=f"it stands on line {first} already; keep one",
                )
            )
        elif key.value == "<<":
            complaints.append(
                Diagnostic(code="F102", message="merge keys are not part of the flow language", mark=mark)
            )
        else:
            entries[key.value] = Entry(mark, _tree(value, complaints))
    return Tree(entries, _place(node.start_mark))


def _scalar(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
