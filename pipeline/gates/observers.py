"""What a change brings into the test process from the side of the source.

A conftest, a plugin or a `sitecustomize` there runs inside the tests; source can ask whether it is
being tested, reach into the test framework, or switch a checker off for a whole file. None of it is
forbidden for ever; but nobody asked for it, so it goes back once.
"""

import difflib
import re
from collections.abc import Iterator
from enum import StrEnum

import msgspec

_FILES = re.compile(
    r"(?:^|/)(?:conftest\.py|sitecustomize\.py|usercustomize\.py|[^/]+\.pth|jest\.setup\.\w+"
    r"|vitest\.setup\.\w+|__mocks__/.+|management/commands/test\.py)$"
)
_ASKS = re.compile(
    r"PYTEST_CURRENT_TEST|PYTEST_VERSION|IDEA_TO_PR_|idea_to_pr|JEST_WORKER_ID|VITEST\b|import\.meta\.vitest"
    r"|NODE_TEST_CONTEXT|['\"](?:pytest|_pytest|unittest)(?:\.\w+)*['\"]\s+(?:not\s+)?in\s+sys\.modules"
    r"|testing\.Testing\(\)|NODE_ENV\s*[!=]==?\s*['\"]test|flag\.Lookup\(['\"]test\."
)
_PYTHON = r"(?:_?pytest|unittest|django\.test)(?=$|[\s.,;'\"])"
_REACHES = re.compile(
    # Python: the frameworks, by whatever way they are imported
    rf"(?:^|[;:]|exec\(['\"])\s*(?:import\s+(?:[\w.]+(?:\s+as\s+\w+)?\s*,\s*)*|from\s+){_PYTHON}"
    r"|pytest_plugins|pytest11"
    r"|sys\.modules\s*(?:\[|\.\w+\()\s*['\"](?:_?pytest|unittest|django\.test)"
    r"|(?:import_module|__import__)\(\s*['\"](?:_?pytest|unittest|django\.test)\b"
    # JavaScript
    r"|\b(?:global|globalThis)\s*(?:\.|\[\s*['\"`])\s*(?:expect|assert|test|it|describe)\b"
    r"|\bexpect\s*\.\s*extend\b|\bassert(?:\.\w+|\[[^\]]+\])+\s*=(?![=>])"
    r"|Object\.(?:assign|define\w+)\(\s*(?:assert|expect)\b"
    r"|(?:from|require\(|import\()\s*['\"](?:node:test|vitest|expect|chai|@jest/\w+|@vitest/\w+)['\"]"
    # Rust, Go
    r"|macro_rules!\s*(?:debug_)?(?:assert|panic)\w*|//go:linkname\s+\S+\s+testing\."
)
_SILENCES = re.compile(
    r"#\s*(?:ruff|flake8):\s*noqa(?!\s*:\s*\w+\s*#)|#\s*mypy:\s*\S*(?:ignore|disable|allow|no)"
    r"|#\s*pylint:\s*(?:skip-file|disable-all)|#\s*pyright:\s*(?:basic|ignore|off)"
    r"|#\s*isort:\s*skip_file|/\*\s*eslint-disable\s|/\*\s*eslint-disable\*/|@ts-nocheck|biome-ignore-all"
    r"|(?:istanbul|c8|v8)\s+ignore\s+(?:file|start)|#!\[(?:cfg_attr\(.*)?allow\(|#!\[rustfmt::skip"
)
_DOCUMENTS = (".md", ".rst", ".txt", ".adoc")
_GO_NOLINT = re.compile(r"^//\s*nolint\b")


class ObserverKind(StrEnum):
    """What a line or file does there."""

    RUNS = "runs inside the tests, and is no test file"
    HIDES = "has the name of an installed package that the tests import"
    ASKS = "asks whether it is being tested"
    REACHES = "reaches into the test framework"
    SILENCES = "switches a check off for the whole file"


class Observer(msgspec.Struct, frozen=True, kw_only=True):
    """One finding; `line` is its number, 0 for the whole file."""

    path: str
    kind: ObserverKind
    line: int = 0
    text: str = ""

    def __str__(self) -> str:
        if not self.line:
            return f"{self.path}: {self.kind.value}"
        return f"{self.path}:{self.line}: {self.kind.value}: {self.text}"


def brought_in(path: str, before: str, after: str) -> Iterator[Observer]:
    """Yield what a changed source file brings into the test process; only added lines count."""
    if path.endswith(_DOCUMENTS):
        return
    if after and _FILES.search(path):
        yield Observer(path=path, kind=ObserverKind.RUNS)
        return
    new = after.splitlines()
    for tag, _, _, start, end in _opcodes(before, after):
        for number in range(start, end) if tag in {"insert", "replace"} else ():
            if (kind := _kind(path, new, number)) is not None:
                yield Observer(path=path, kind=kind, line=number + 1, text=new[number].strip())


def without_hunks(before: str, after: str, lines: set[int]) -> str:
    """Return a text without the hunks that hold one of these lines of it, numbered from 1."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    kept: list[str] = []
    for _, old_start, old_end, start, end in _opcodes(before, after):
        is_flagged = any(start < line <= end for line in lines)
        kept += old[old_start:old_end] if is_flagged else new[start:end]
    return "".join(kept)


def _opcodes(before: str, after: str) -> list[tuple[str, int, int, int, int]]:
    old, new = before.splitlines(), after.splitlines()
    return list(difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes())


def _kind(path: str, lines: list[str], number: int) -> ObserverKind | None:
    line = lines[number]
    if _ASKS.search(line):
        return ObserverKind.ASKS
    if _REACHES.search(line):
        return ObserverKind.REACHES
    is_above = path.endswith(".go") and any(one.startswith("package ") for one in lines[number:])
    if _SILENCES.search(line) or (is_above and _GO_NOLINT.match(line)):
        return ObserverKind.SILENCES
    return None
