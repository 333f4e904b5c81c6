"""Files of settings that can be read (TOML, INI, JSON), and those that take another's place.

Tools look for settings beside a file first and above it later, and for a file of their own before a
shared one. So a new file can switch off what the project has set, though nothing there changed.
"""

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

_TOML = (
    "pyproject.toml", "ruff.toml", ".ruff.toml", "mypy.toml", "Cargo.toml", "clippy.toml",
    ".clippy.toml", "rustfmt.toml", ".rustfmt.toml",
)  # fmt: skip
_INI = (
    "setup.cfg", "tox.ini", "pytest.ini", "mypy.ini", ".mypy.ini", ".coveragerc", ".flake8",
    ".pylintrc",
)  # fmt: skip
_JSON = (
    "package.json", "tsconfig.json", ".eslintrc.json", ".eslintrc", ".nycrc", ".nycrc.json",
    "jest.config.json", "biome.json",
)  # fmt: skip
_SECTIONS = {
    "ruff.toml": r"^tool\.ruff\b", ".ruff.toml": r"^tool\.ruff\b",
    "mypy.ini": r"^(?:tool\.)?mypy\b", ".mypy.ini": r"^(?:tool\.)?mypy\b",
    "pytest.ini": r"^(?:tool[.:])?pytest\b", ".coveragerc": r"^(?:tool\.)?coverage\b",
    ".flake8": r"^flake8\b", ".pylintrc": r"^tool\.pylint\b",
}  # fmt: skip
"""Files of one tool's settings -> the sections of shared files that they hide."""

_OTHERS = (
    "clippy.toml", ".clippy.toml", "rustfmt.toml", ".rustfmt.toml", ".eslintrc", ".eslintrc.json",
    ".eslintrc.js", ".eslintrc.cjs", ".eslintrc.yml", ".eslintrc.yaml", "biome.json", ".nycrc",
    ".nycrc.json", ".prettierrc", ".golangci.yml", ".golangci.yaml",
)  # fmt: skip
_SHARED = ("pyproject.toml", "setup.cfg", "tox.ini")
_COMMENTS = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_COMMAS = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')


def is_settings(path: str) -> bool:
    """Return whether a file can hold settings that are read here."""
    return path.rpartition("/")[2] in {*_TOML, *_INI, *_JSON}


def read_settings(path: str, text: str) -> dict[str, object] | None:
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
            return dict(_flat(json.loads(_without_comments(text) or "{}")))
    except (tomllib.TOMLDecodeError, configparser.Error, json.JSONDecodeError, AttributeError):
        return None
    return None


def put_before(
    new: Iterable[str], read: Callable[[str], str], is_named: Callable[[str], bool]
) -> Iterator[str]:
    """Yield messages about new files whose settings take the place of the project's.

    `new` are the paths that the base does not have, and `read` returns a file of the tree.
    """
    for path in new:
        folder, _, name = path.rpartition("/")
        if is_named(path):
            continue
        is_shared = name == "pyproject.toml" and _has(read, path, r"^tool\.ruff\b")
        if folder and (is_shared or name in _SECTIONS or name in _OTHERS):
            yield f"{path}: a new file of settings below the project's own replaces them there"
        elif name in _SECTIONS and any(_has(read, one, _SECTIONS[name]) for one in _SHARED):
            yield f"{path}: a new file of settings hides those that another file has"


def _has(read: Callable[[str], str], path: str, section: str) -> bool:
    found = read_settings(path, read(path)) or {}
    return any(re.search(section, key) for key in found)


def _without_comments(text: str) -> str:
    """Return JSON as TypeScript writes it without its comments and trailing commas."""
    plain = _COMMENTS.sub(lambda match: match[1] or "", text)
    return _COMMAS.sub(lambda match: match[1] or "", plain).strip().removeprefix("\ufeff")


def _flat(data: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, object]]:
    for key, value in data.items():
        path = f"{above}.{key}" if above else str(key)
        if isinstance(value, dict):
            yield from _flat(value, path)
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            for number, one in enumerate(value):
                yield from _flat(one, f"{path}[{_label(one) or number}]")
        else:
            yield path, value


def _label(item: Mapping[str, Any]) -> str:
    """Return what an item of a list is about: mypy's `module`, ESLint's `files`."""
    value = item.get("module") or item.get("files") or item.get("name") or ""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
