"""Read YAML text into a tree with marks, in a small and safe subset of YAML 1.2.

Words like `on`, `no` and `12:30` stay text, duplicate keys are errors, and anchors, aliases, tags
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
    """A value and its place: a scalar, a list, or a mapping with a place for each key."""

    value: "Scalar | list[Tree] | dict[str, Entry]"
    mark: Mark


class Entry(msgspec.Struct, frozen=True):
    """One key of a mapping: the key's own place, and the value."""

    key: Mark
    tree: Tree


def read(text: str, name: str) -> tuple[Tree | None, list[Diagnostic]]:
    """Read the one document of the file called `name`.

    Return the tree (None when there is none) and all errors.
    """
    try:
        if errors := _unsupported(text, name):
            return None, errors
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
    errors = []
    return _tree(node, name, errors), errors


def _not_yaml(exc: yaml.MarkedYAMLError, text: str, name: str) -> Diagnostic:
    """Describe an error of the parser, in plain words for the common cases."""
    problem, context, hint = str(exc.problem or ""), str(exc.context or ""), ""
    at, began = _place(exc.problem_mark, name), _place(exc.context_mark, name)
    line = text.splitlines()[at.line - 1] if at.line <= len(text.splitlines()) else ""
    if "cannot start any token" in problem and line[at.column - 1 : at.column] == "\t":
        problem, hint = "a tab where YAML requires spaces", "indent with spaces"
    elif "alias" in context:
        problem, hint = "a value cannot begin with *", 'put it in quotes: "**/*.md"'
        at = Mark(at.line, max(1, line.rfind("*", 0, at.column) + 1), 1, name)
    elif "quoted scalar" in context and "end of" in problem:
        problem, hint, at = "this quote is never closed", "close it", began
    return Diagnostic(code="F101", message=f"not YAML: {problem}", mark=at, help=hint)


def _mark_of(exc: Exception, text: str, name: str) -> Mark:
    """Return the place of a character that YAML does not allow."""
    position = getattr(exc, "position", None)
    if not isinstance(position, int):
        return _place(None, name)
    # The C loader of PyYAML 6.0.3 gives the position in bytes of UTF-8, the pure one in characters.
    counts_bytes = _LOADER is not yaml.SafeLoader
    before = text.encode()[:position].decode("utf-8", "ignore") if counts_bytes else text[:position]
    return Mark(before.count("\n") + 1, len(before) - before.rfind("\n"), file=name)


def _unsupported(text: str, name: str) -> list[Diagnostic]:
    """Return errors for banned parts of YAML in the event stream.

    Stops at the first limit that is exceeded, before anything is built from the events.
    """
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
    """Return what makes an event unsupported; an empty text when nothing does."""
    if isinstance(event, yaml.DocumentStartEvent) and documents > 1:
        return "a file cannot have a second document"
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        return "anchors and aliases are not part of the flow language"
    tag = getattr(event, "tag", None)
    return f"the tag {tag} is not part of the flow language" if tag else ""


def _place(mark: Any, name: str, width: int = 1) -> Mark:
    return (
        Mark(mark.line + 1, mark.column + 1, max(width, 1), name) if mark else Mark(1, 1, 1, name)
    )


def _tree(node: yaml.Node, name: str, errors: list[Diagnostic]) -> Tree:
    if isinstance(node, yaml.ScalarNode):
        plain = not node.style  # None in the pure loader, empty in the C one
        width = len(node.value) + (0 if plain else 2)
        return Tree(
            _scalar(node.value) if plain else node.value, _place(node.start_mark, name, width)
        )
    if isinstance(node, yaml.SequenceNode):
        return Tree(
            [_tree(child, name, errors) for child in node.value], _place(node.start_mark, name)
        )
    if len(node.value) == 1 and isinstance(node.value[0][0], yaml.MappingNode):
        # Unquoted, `{{ x }}` is YAML for a mapping whose only key is a mapping.
        hint = 'write it as text: "{{ ... }}"'
        mark = _place(node.start_mark, name, 2)
        errors.append(
            Diagnostic(code="F112", message="{{ ... }} must be in quotes", mark=mark, help=hint)
        )
        return Tree("", mark)
    entries: dict[str, Entry] = {}
    for key, value in node.value:
        is_word = isinstance(key, yaml.ScalarNode)
        mark = _place(key.start_mark, name, len(str(key.value)) if is_word else 1)
        if error := _key_error(key.value if is_word else None, mark, entries):
            errors.append(error)
        else:
            entries[key.value] = Entry(mark, _tree(value, name, errors))
    return Tree(entries, _place(node.start_mark, name))


def _key_error(key: str | None, mark: Mark, entries: dict[str, Entry]) -> Diagnostic | None:
    if key is None:
        return Diagnostic(code="F112", message="a key must be plain text", mark=mark)
    if key in entries:
        hint = f"the first one is on line {entries[key].key.line}; keep one of them"
        return Diagnostic(code="F113", message=f"duplicate key {key!r}", mark=mark, help=hint)
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


def merged(base: Tree, change: Tree, errors: list[Diagnostic], removed: dict[str, Mark]) -> Tree:
    """Return `base` with `change` applied.

    Mappings are merged by key, `~` removes a key, everything else is replaced. Removed keys are
    added to `removed`, with the place that removed them.
    """
    if not isinstance(base.value, dict) or not isinstance(change.value, dict):
        return change
    entries = dict(base.value)
    for key, entry in change.value.items():
        if entry.tree.value is None and entries.pop(key, None) is None:
            message, hint = f"there is no {key!r} to remove", did_you_mean(key, base.value)
            errors.append(Diagnostic(code="F115", message=message, mark=entry.key, help=hint))
        elif entry.tree.value is None:
            removed[key] = entry.key
        else:
            old = entries.get(key)
            entries[key] = Entry(
                entry.key, merged(old.tree, entry.tree, errors, removed) if old else entry.tree
            )
    return Tree(entries, change.mark)
