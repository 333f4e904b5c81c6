"""Settings of tests, coverage and lint that a change has removed or loosened.

They are judged by what they are, not by the file they stand in: mixed files such as pyproject.toml
and package.json stay writable. A key that was added is a finding only if it lets less be looked at.
Files that are programs (`jest.config.js`) cannot be read like that.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from pipeline.gates.settings_files import read_settings

_TOOLS = re.compile(
    r"(?:^|\.)(?:tool\.)?(?:tool:)?(?:pytest|coverage|ruff|mypy|flake8|pylint|isort|pyright|bandit|jest|nyc|c8"
    r"|vitest|mocha|eslintConfig|compilerOptions|rules|run|report|lints|linter|scripts)\b"
)
_LOOSENS_WHEN_MORE = re.compile(
    r"ignore|exclude|omit|disable|allow|skip|deselect|max[-_]|filterwarnings", re.IGNORECASE
)
_LOOSENS_WHEN_LESS = re.compile(
    r"select|enable|include|fail[-_]under|threshold|min[-_]|branches|functions|lines|statements"
    r"|testpaths|python_files|testMatch|plugins|source",
    re.IGNORECASE,
)
_HIDES = re.compile(
    r"--(?:deselect|ignore|no-cov|exitfirst|lf|sw)\b|--ignore-glob|(?:^|\s)-[km]\b|--passWithNoTests"
    r"|--testPathIgnorePatterns|\|\|\s*true|-p\s*no:|--cov-fail-under|--maxfail|-W\s*ignore"
)
_ADDED_FREELY = re.compile(
    r"skip_covered|skip_empty|overrides\[.*ignore_missing_imports"
    r"|allow(?:Js|SyntheticDefaultImports|ImportingTsExtensions|ArbitraryExtensions)$"
)
"""Switches that are often added and hide no finding in the project's own code."""

_LEVELS = {
    "error": 2, "deny": 2, "forbid": 2, "2": 2,
    "warn": 1, "warning": 1, "info": 1, "1": 1,
    "off": 0, "allow": 0, "0": 0,
}  # fmt: skip
_MISSING = object()


def loosened(
    files: Mapping[str, tuple[str, str]], is_named: Callable[[str], bool]
) -> Iterator[str]:
    """Yield messages about the settings in changed files that look at less than before.

    `files` are path -> text before and after. What only moved from one of them to another is not
    looser. `is_named` returns whether the test stage has named a key, `FILE:KEY`, with its reason.
    """
    read = {
        path: (read_settings(path, old), read_settings(path, new))
        for path, (old, new) in files.items()
    }
    moved_from = {_plain(*item) for old, _ in read.values() for item in (old or {}).items()}
    moved_to = {_plain(*item) for _, new in read.values() for item in (new or {}).items()}
    for path, (before, after) in read.items():
        if before is not None and after is None and not is_named(path):
            yield f"{path}: cannot be read any more, so its settings count as removed"
        if before is None or after is None:
            continue
        for key in sorted(before.keys() | after.keys()):
            was, now = before.get(key, _MISSING), after.get(key, _MISSING)
            if was == now or not _is_about_tools(path, key) or is_named(f"{path}:{key}"):
                continue
            if now is _MISSING and _plain(key, was) in moved_to:
                continue
            if was is _MISSING and _plain(key, now) in moved_from:
                continue
            if (how := _how(key, was, now)) is not None:
                yield f"{path}: {key} {how}"


def _plain(key: str, value: object) -> tuple[str, tuple[str, ...]]:
    """Return a setting in a form that is the same in TOML and INI: `run.branch`, its words."""
    parts = re.split(r"[.:]", key)
    return ".".join(parts[-2:]), tuple(sorted(word.lower() for word in _words(value)))


def _how(key: str, was: object, now: object) -> str | None:
    """Return how a setting was loosened; None if it was not."""
    if "filterwarnings" in key:
        return _how_filters(was, now)
    if now is _MISSING:
        return _how_removed(key, was)
    if _hides(now) and (was is _MISSING or not set(_hides(now)) <= set(_hides(was))):
        return f"hides tests or failures: {_show(now)}"
    if _level(key, now) is not None:
        return _how_level(key, was, now)
    if isinstance(now, bool) or isinstance(was, bool):
        return _how_switched(key, was, now)
    return _how_much(key, was, now)


def _how_much(key: str, was: object, now: object) -> str | None:
    """Return how a bound or a list was loosened."""
    if (was_number := _number(was)) is not None and (number := _number(now)) is not None:
        less = _LOOSENS_WHEN_LESS.search(key) and number < was_number
        more = _LOOSENS_WHEN_MORE.search(key) and number > was_number
        return f"was {_show(was)} and is {_show(now)} now" if less or more else None
    gone, come = _words(was) - _words(now), _words(now) - _words(was)
    if _LOOSENS_WHEN_MORE.search(key) and come:
        return f"leaves out more: {', '.join(sorted(come))}"
    if _LOOSENS_WHEN_LESS.search(key) and gone and was is not _MISSING:
        return f"looks at less: {', '.join(sorted(gone))} is gone"
    return None


def _how_removed(key: str, was: object) -> str | None:
    """Return how the loss of a setting loosens; a maximum is a floor the other way round."""
    is_bound = re.search(r"max[-_]", key, re.IGNORECASE)
    is_loose = _level(key, was) == 0 or (_LOOSENS_WHEN_MORE.search(key) and not is_bound)
    return None if is_loose else f"was removed (it was {_show(was)})"


def _how_switched(key: str, was: object, now: object) -> str | None:
    looser = bool(_LOOSENS_WHEN_MORE.search(key))
    if was is _MISSING and (not looser or _ADDED_FREELY.search(key)):
        return None
    return f"is {_show(now)} now" if now is looser else None


def _how_level(key: str, was: object, now: object) -> str | None:
    level, before = _level(key, now) or 0, _level(key, was)
    is_lower = level == 0 if before is None else level < before
    was_shown = "not set" if was is _MISSING else _show(was)
    return f"was {was_shown} and is {_show(now)} now" if is_lower else None


def _how_filters(was: object, now: object) -> str | None:
    """Return how filters of warnings were loosened: an `error` is gone, an `ignore` has come."""
    before, after = (
        {line.strip() for line in (one if isinstance(one, list) else str(one).splitlines())}
        for one in (() if was is _MISSING else was, () if now is _MISSING else now)
    )
    gone = sorted(line for line in before - after if line.startswith("error"))
    come = sorted(line for line in after - before if line and not line.startswith("error"))
    if gone:
        return f"looks at less: {', '.join(gone)} is gone"
    return f"leaves out more: {', '.join(come)}" if come else None


def _level(key: str, value: object) -> int | None:
    """Return how strict a linter's level is: 2 fails, 1 warns, 0 is off; None if it is none."""
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, bool) or not re.search(r"(?:^|\.)(?:rules|lints|linter)\.", key):
        return None
    return _LEVELS.get(str(first).lower())


def _is_about_tools(path: str, key: str) -> bool:
    name = path.rpartition("/")[2]
    if name == "pyproject.toml" and key.startswith("project."):
        return False
    mixed = name in {"pyproject.toml", "setup.cfg", "tox.ini", "package.json", "Cargo.toml"}
    return bool(_TOOLS.search(key)) if mixed else True


def _hides(value: object) -> list[str]:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return [match.group().strip() for match in _HIDES.finditer(text)] if value else []


def _number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None


def _words(value: object) -> set[str]:
    if value is _MISSING:
        return set()
    if isinstance(value, list):
        return set(map(str, value))
    return {word for word in re.split(r"[\s,]+", str(value)) if word}


def _show(value: object) -> str:
    return str(value)[:80]
