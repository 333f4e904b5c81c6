"""What a checker printed: whether it could look, and findings to compare between two trees.

A finding is new when the base does not have it: by file, text and count, with its line mapped
through the change, wherever it lies.
"""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from os.path import normpath

import msgspec

from pipeline.core.excerpt import excerpt
from pipeline.gates.testrun import CommandResult

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_AT = re.compile(r"^\s*(?!\d+:\d)[^\s:(]+(?::\d+|\(\d+,\d+\))(?::\d+)?:?\s*\S.*$")
_ARROW = re.compile(r"^\s*-->\s*[^\s:]+:\d+(?::\d+)?")
_BELOW = re.compile(r"^\s+\d+:\d+\s+\S.*$")
_WHOLE_FILE = re.compile(r"^(?:\[warn\]|would reformat:?|unformatted:?)\s+\S+$", re.IGNORECASE)
_PLACE = re.compile(
    r"^\s*(?P<file>[^\s:(]+)(?::(?P<line>\d+)|\((?P<row>\d+),\d+\))(?::\d+)?:?\s*(?P<text>.*)$"
)
_NUMBER = re.compile(r"\d+")
_NOT_THERE = re.compile(
    r"(?:command )?not found$|: No such file or directory$|\bError 127$|No module named \S+$"
    r"|\bENOENT\b|Cannot find module|could not determine executable|^An error has occurred:"
    r"|not a git repository|Missing script:|No rule to make target",
    re.MULTILINE,
)
"""What shells, make, npm, Python, Node and pre-commit say when a tool is missing or has crashed."""

_AND = re.compile(r"\s&&\s")
_KEEPS_STATE = re.compile(r"(?:^|&&\s+)(?:cd|export|set|source|\.)\s|^\w+=|[()`;|]|\$\(")


def parts_of(command: str) -> list[str]:
    """Split a check at its `&&`, so that one that fails does not keep the next from looking.

    A command that changes what the next one sees (`cd`, variables) stays whole.
    """
    if _KEEPS_STATE.search(command) or '"' in command or "'" in command:
        return [command]
    return _AND.split(command)


def why_not_looked(result: CommandResult) -> str:
    """Return why a check could not look, from its result; empty if it looked."""
    if result.could_not_run:
        return result.problem or f"cannot be run: {excerpt(result.output)}"
    if result.code and _NOT_THERE.search(result.output) and not structured(result.output):
        return f"could not look (exit status {result.code}): {excerpt(result.output)}"
    return ""


def findings(output: str) -> list[str]:
    """Return the findings in the output of a checker: one line each, with its file.

    If nothing looks like a finding, every line that is not empty counts as one.
    """
    return structured(output) or [line for line in _lines(output) if line.strip()]


def structured(output: str) -> list[str]:
    """Return the lines of an output that name a file and a place in it, or a file to reformat."""
    extracted: list[str] = []
    header = last = ""
    for line in _lines(output):
        if _AT.match(line) or _WHOLE_FILE.match(line):
            extracted.append(line)
        elif _ARROW.match(line):
            extracted.append(f"{line.split('-->')[1].strip()}: {last.strip()}")
        elif _BELOW.match(line) and header:
            extracted.append(f"{header}:{line.strip()}")
        elif line and not line[0].isspace():
            header = line
        last = line or last
    return extracted


def new_findings(
    now: Sequence[str],
    before: Sequence[str],
    read_now: Callable[[str], str],
    read_before: Callable[[str], str],
    renamed: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the findings of a tree that its base does not have; the readers return a file's text.

    `renamed` has the names on the base of files with another name there.

    One on a line that nobody changed is the base's on the line that this line was; one on a changed
    line may be any of the base's on the lines that the same hunk replaced.
    """
    maps: dict[str, _LineMap] = {}

    def place(line: str, *, is_base: bool) -> tuple[str, str, str]:
        found = _PLACE.match(line)
        if found is None:
            return "", "", _NUMBER.sub("#", line)
        name, number = normpath(found["file"]), int(found["line"] or found["row"])
        file = name if is_base else (renamed or {}).get(name, name)
        if file not in maps:
            new_name = next((new for new, old in (renamed or {}).items() if old == file), file)
            maps[file] = _LineMap(read_before(file), read_now(new_name))
        where = maps[file].of_base(number) if is_base else maps[file].of_tree(number)
        return file, where, _NUMBER.sub("#", found["text"])

    left = Counter(place(line, is_base=True) for line in before)
    new = []
    for line in now:
        key = place(line, is_base=False)
        left[key] -= 1
        if left[key] < 0:
            new.append(line)
    return new


class _LineMap(msgspec.Struct, frozen=True):
    """Where the lines of a file on the base went: to a line of the tree, or into a hunk."""

    before: str
    after: str

    def of_base(self, number: int) -> str:
        """Return the place of a line of the base, in words that both sides share."""
        for tag, start, end, other, _ in self._opcodes():
            if start < number <= end:
                return str(number - start + other) if tag == "equal" else f"hunk {other}"
        return str(number)

    def of_tree(self, number: int) -> str:
        """Return the place of a line of the tree, in words that both sides share."""
        for tag, _, _, start, end in self._opcodes():
            if start < number <= end:
                return str(number) if tag == "equal" else f"hunk {start}"
        return str(number)

    def _opcodes(self) -> Sequence[tuple[str, int, int, int, int]]:
        matcher = difflib.SequenceMatcher(
            None, self.before.splitlines(), self.after.splitlines(), autojunk=False
        )
        return matcher.get_opcodes()


def _lines(output: str) -> list[str]:
    return [_ANSI.sub("", line).rstrip() for line in output.splitlines()]
