"""YAML text into a marked tree, in a small and safe part of YAML 1.2.

Words like `on`, `no` and `12:30` stay text, duplicate keys are refused, and anchors, aliases, tags
and merge keys do not exist. Size, depth and node count are bounded before anything is built: the C
parser of PyYAML 6.0.3 crashes on 200,000 open brackets, and merge keys multiply.
"""

import re
from typing import Any

import msgspec
import yaml

from pipeline.language.diagnostics import Diagnostic, Mark, did_you_mean

SIZE_MAX_BYTES = 256 * 1024
DEPTH_MAX = 32
NODES_MAX = 20_000

_BANNED_MAX = 20

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


def read(text: str, name: str) -> tuple[Tree | None, list[Diagnostic]]:
    """Read one document, the file called `name`.

    Return the tree (None when there is none) and all complaints.
    """
    try:
        if found := _refused(text, name):
            return None, found
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as exc:
        return None, [_not_yaml(exc, text, name)]
    except (yaml.YAMLError, UnicodeError) as exc:
        reason = str(exc).splitlines()[0]
        return None, [
            Diagnostic(code="F101", message=f"not YAML: {reason}", mark=_mark_of(exc, text, name))
        ]
    if node is None:
        return None, [Diagnostic(code="F101", message="the file is empty", mark=_place(None, name))]
    complaints: list[Diagnostic] = []
    return _tree(node, name, complaints), complaints


def _not_yaml(exc: yaml.MarkedYAMLError, text: str, name: str) -> Diagnostic:
    """Say what the parser stumbled over, in words for the cases that people meet."""
    problem, context, mend = str(exc.problem or ""), str(exc.context or ""), ""
    at, began = _place(exc.problem_mark, name), _place(exc.context_mark, name)
    line = text.splitlines()[at.line - 1] if at.line <= len(text.splitlines()) else ""
    if "cannot start any token" in problem and line[at.column - 1 : at.column] == "\t":
        problem, mend = "a tab stands where YAML wants blanks", "indent with blanks"
    elif "alias" in context:
        problem, mend = "a value cannot begin with *", 'put it in quotes: "**/*.md"'
        at = Mark(at.line, max(1, line.rfind("*", 0, at.column) + 1), 1, name)
    elif "quoted scalar" in context and "end of" in problem:
        problem, mend, at = "a quote is opened here and never closed", "close it", began
    return Diagnostic(code="F101", message=f"not YAML: {problem}", mark=at, help=mend)


def _mark_of(exc: Exception, text: str, name: str) -> Mark:
    """Find the place of a letter that YAML forbids."""
    position = getattr(exc, "position", None)
    if not isinstance(position, int):
        return _place(None, name)
    counts_bytes = _LOADER is not yaml.SafeLoader
    before = text.encode()[:position].decode("utf-8", "ignore") if counts_bytes else text[:position]
    return Mark(before.count("\n") + 1, len(before) - before.rfind("\n"), file=name)


def _refused(text: str, name: str) -> list[Diagnostic]:
    """Look through the event stream for what is banned, stopping at the first thing that is too much."""
    if len(text.encode()) > SIZE_MAX_BYTES:
        return [
            Diagnostic(
                code="F103",
                message=f"larger than {SIZE_MAX_BYTES // 1024} KiB",
                mark=_place(None, name),
            )
        ]
    depth = nodes = documents = 0
    banned: list[Diagnostic] = []
    for event in yaml.parse(text, Loader=_LOADER):
        mark = _place(event.start_mark, name)
        documents += isinstance(event, yaml.DocumentStartEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(
            event, yaml.CollectionEndEvent
        )
        nodes += isinstance(event, yaml.NodeEvent)
        if depth > DEPTH_MAX:
            return [
                Diagnostic(code="F103", message=f"nested deeper than {DEPTH_MAX} levels", mark=mark)
            ]
        if nodes > NODES_MAX:
            return [Diagnostic(code="F103", message=f"more than {NODES_MAX} values", mark=mark)]
        if (what := _banned(event, documents)) and len(banned) < _BANNED_MAX:
            banned.append(Diagnostic(code="F102", message=what, mark=mark))
    return banned


def _banned(event: Any, documents: int) -> str:
    """Say what of YAML is no part of the language here; an empty text when nothing is."""
    if isinstance(event, yaml.DocumentStartEvent) and documents > 1:
        return "a second document in one file"
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        return "anchors and aliases are not part of the flow language"
    tag = getattr(event, "tag", None)
    return f"the tag {tag} is not part of the flow language" if tag else ""


def _place(mark: Any, name: str, width: int = 1) -> Mark:
    return (
        Mark(mark.line + 1, mark.column + 1, max(width, 1), name) if mark else Mark(1, 1, 1, name)
    )


def _tree(node: yaml.Node, name: str, complaints: list[Diagnostic]) -> Tree:
    if isinstance(node, yaml.ScalarNode):
        plain = not node.style  # None in the pure loader, empty in the C one
        width = len(node.value) + (0 if plain else 2)
        return Tree(
            _scalar(node.value) if plain else node.value, _place(node.start_mark, name, width)
        )
    if isinstance(node, yaml.SequenceNode):
        return Tree(
            [_tree(child, name, complaints) for child in node.value], _place(node.start_mark, name)
        )
    if len(node.value) == 1 and isinstance(node.value[0][0], yaml.MappingNode):
        mend = 'write it as text: "{{ ... }}"'
        mark = _place(node.start_mark, name, 2)
        complaints.append(
            Diagnostic(code="F112", message="{{ ... }} must stand in quotes", mark=mark, help=mend)
        )
        return Tree("", mark)
    entries: dict[str, Entry] = {}
    for key, value in node.value:
        is_word = isinstance(key, yaml.ScalarNode)
        mark = _place(key.start_mark, name, len(str(key.value)) if is_word else 1)
        if complaint := _bad_key(key.value if is_word else None, mark, entries):
            complaints.append(complaint)
        else:
            entries[key.value] = Entry(mark, _tree(value, name, complaints))
    return Tree(entries, _place(node.start_mark, name))


def _bad_key(key: str | None, mark: Mark, entries: dict[str, Entry]) -> Diagnostic | None:
    if key is None:
        return Diagnostic(code="F112", message="a key must be a word", mark=mark)
    if key in entries:
        mend = f"it stands on line {entries[key].key.line} already; keep one"
        return Diagnostic(
            code="F113", message=f"the key {key!r} stands twice", mark=mark, help=mend
        )
    if key == "<<":
        return Diagnostic(
            code="F102", message="merge keys are not part of the flow language", mark=mark
        )
    return None


def _scalar(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def merged(
    base: Tree, change: Tree, complaints: list[Diagnostic], removed: dict[str, Mark]
) -> Tree:
    """Put one tree on another.

    Mappings are merged by key, `~` takes a key away, all else is replaced.

    What is taken away is noted in `removed`, by its key.
    """
    if not isinstance(base.value, dict) or not isinstance(change.value, dict):
        return change
    entries = dict(base.value)
    for key, entry in change.value.items():
        if entry.tree.value is None and entries.pop(key, None) is None:
            mend = did_you_mean(key, base.value)
            complaints.append(
                Diagnostic(
                    code="F115",
                    message=f"there is no {key!r} to take away",
                    mark=entry.key,
                    help=mend,
                )
            )
        elif entry.tree.value is None:
            removed[key] = entry.key
        else:
            old = entries.get(key)
            entries[key] = Entry(
                entry.key, merged(old.tree, entry.tree, complaints, removed) if old else entry.tree
            )
    return Tree(entries, change.mark)
