"""Settings of tests, coverage and lint that a change has removed or loosened.

They are judged by what they are, not by the file they stand in: mixed files such as pyproject.toml
and package.json stay writable. A key that was added is a finding only if it lets less be looked at.
Files that are programs (`jest.config.js`) cannot be read like that.
"""

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_TOML = ("pyproject.toml", "ruff.toml", ".ruff.toml", "mypy.toml", "Cargo.toml", "clippy.toml")
_INI = ("setup.cfg", "tox.ini", "pytest.ini", "mypy.ini", ".coveragerc", ".flake8", ".pylintrc")
_JSON = (
    "package.json", "tsconfig.json", ".eslintrc.json", ".eslintrc", ".nycrc", ".nycrc.json",
    "jest.config.json", "biome.json",
)  # fmt: skip
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
_MISSING = object()


def loosened(
    files: Mapping[str, tuple[str, str]], is_named: Callable[[str], bool]
) -> Iterator[str]:
    """Yield messages about the settings in changed files that look at less than before.

    `files` are path -> text before and after. What only moved from one of them to another is not
    looser. `is_named` returns whether the test stage has named a key, `FILE:KEY`, with its reason.
    """
    read = {path: (_read(path, old), _read(path, new)) for path, (old, new) in files.items()}
    moved_from = {_plain(*item) for old, _ in read.values() for item in (old or {}).items()}
    moved_to = {_plain(*item) for _, new in read.values() for item in (new or {}).items()}
    for path, (before, after) in read.items():
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


def is_settings(path: str) -> bool:
    """Return whether a file can hold settings that are read here."""
    return path.rpartition("/")[2] in {*_TOML, *_INI, *_JSON}


def _how(key: str, was: object, now: object) -> str | None:
    """Return how a setting was loosened; None if it was not."""
    if now is _MISSING:
        return None if _LOOSENS_WHEN_MORE.search(key) else f"was removed (it was {_show(was)})"
    if _hides(now) and (was is _MISSING or not set(_hides(now)) <= set(_hides(was))):
        return f"hides tests or failures: {_show(now)}"
    if isinstance(now, bool) or isinstance(was, bool):
        looser = bool(_LOOSENS_WHEN_MORE.search(key))
        return f"is {_show(now)} now" if was is not _MISSING and now is looser else None
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


def _is_about_tools(path: str, key: str) -> bool:
    name = path.rpartition("/")[2]
    mixed = name in {"pyproject.toml", "setup.cfg", "tox.ini", "package.json", "Cargo.toml"}
    return bool(_TOOLS.search(key)) if mixed else True


def _read(path: str, text: str) -> dict[str, object] | None:
    """Return the settings of a file by dotted key; None if it is not one, or cannot be read."""
    name = path.rpartition("/")[2]
    try:
        if name in _TOML:
            return dict(_flat(tomllib.loads(text)))
        if name in _INI:
            parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
            parser.read_string(text)
            return {
                f"{section}.{key}": value or ""
                for section in parser.sections()
                for key, value in parser.items(section)
            }
        if name in _JSON:
            return dict(_flat(json.loads(text or "{}")))
    except (tomllib.TOMLDecodeError, configparser.Error, json.JSONDecodeError, AttributeError):
        return None
    return None


def _flat(data: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, object]]:
    for key, value in data.items():
        path = f"{above}.{key}" if above else str(key)
        if isinstance(value, dict):
            yield from _flat(value, path)
        else:
            yield path, value


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
