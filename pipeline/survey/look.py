"""A repository as the survey sees it: tracked files, their text, and which programs can be found.

Nothing is run but `git`, and nothing is written; what a person has not committed counts as well,
because a flow is written for the checkout as it lies there.
"""

import configparser
import json
import shlex
import shutil
import tomllib
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from pipeline.language import globs

_TEXT_MAX_BYTES = 512 * 1024
_NOT_OURS = frozenset(
    {
        "node_modules",
        "vendor",
        "third_party",
        "site-packages",
        ".venv",
        "venv",
        "testdata",
        "fixtures",
    }
)
_ASIDE = frozenset({
    "example", "examples", "sample", "samples", "demo", "demos", "doc", "docs", "template", "templates", "bench",
    "benchmark", "benchmarks", "test", "tests", "_vendor", "_vendored", "vendored", "external", "website",
})  # fmt: skip
"""Folders whose projects are there to be looked at, or belong to somebody else: no targets."""


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was found: what, its value, and by what it was told."""

    what: str
    value: str
    why: str


class FoundTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the repository that is built and tested on its own, as a target of the flow file.

    `setup` is what brings its dependencies, run in the root of a workspace; `missing` are checks
    that the repository has, but whose program cannot be found. `package` is what others call it,
    `wants` what it builds on, both in the words of its language; `depends` are the names of those
    parts that are meant.
    """

    name: str
    language: str
    folder: str = ""
    source: tuple[str, ...]
    tests: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    command: str
    exit_code_only: bool = False
    runner: str = ""
    checks: tuple[str, ...] = ()
    format: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    package: str = ""
    wants: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    is_tested: bool = True
    why: str = ""

    @property
    def family(self) -> str:
        """The language in whose words `package` and `wants` stand."""
        return "JavaScript" if self.language == "TypeScript" else self.language


class Addition(msgspec.Struct, frozen=True, kw_only=True):
    """Lines that a file of the repository needs at its end once `agents/` is there."""

    path: str
    text: str
    why: str


class Look:
    """One repository, looked at once."""

    def __init__(self, root: Path, tracked: Collection[str], environ: Mapping[str, str]) -> None:
        """`tracked` are the files that git knows or would take.

        `environ` says where programs are looked for.
        """
        self.root = root
        self.files = frozenset(
            path for path in tracked if _NOT_OURS.isdisjoint(path.split("/")[:-1])
        )
        self.environ = environ
        self.broken: dict[str, str] = {}
        self._known: dict[str, dict[str, Any]] = {}

    def text(self, path: str) -> str:
        """Return a file's text, empty when it is not there, too large or not tracked."""
        file = self.root / path
        if (
            path not in self.files
            or file.is_symlink()
            or not file.is_file()
            or file.stat().st_size > _TEXT_MAX_BYTES
        ):
            return ""
        return file.read_text(errors="replace")

    def toml(self, path: str) -> dict[str, Any]:
        """Return a TOML file's content, empty when it is not there or cannot be read."""
        return self._parsed(path, tomllib.loads)

    def json(self, path: str) -> dict[str, Any]:
        """Return a JSON file's content, empty when it is not there, cannot be read or is no object."""
        return self._parsed(path, json.loads)

    def yaml(self, path: str) -> dict[str, Any]:
        """Return a YAML file's content, empty when it is not there, cannot be read or is no mapping."""
        return self._parsed(path, _yaml)

    def ini(self, path: str) -> dict[str, Any]:
        """Return the sections of an INI file, empty when it is not there or cannot be read."""
        return self._parsed(path, _ini)

    def _parsed(self, path: str, parse: Callable[[str], object]) -> dict[str, Any]:
        if path not in self._known and (text := self.text(path)):
            try:
                self._known[path] = table(parse(text.removeprefix("\ufeff")))
            except (ValueError, RecursionError) as exc:
                self._known[path] = {}
                self.broken[path] = str(exc).partition("\n")[0]
        return self._known.get(path, {})

    def named(self, *names: str, depth: int = 4) -> list[str]:
        """List the projects' folders that hold a file of one of these names, `` for the root, the shallowest first."""
        folders = {
            "" if path.parent == PurePosixPath() else str(path.parent)
            for path in map(PurePosixPath, self.files)
            if path.name in names and len(path.parts) <= depth
        }
        own = [folder for folder in folders if not folder or _is_own(folder)]
        return sorted(own, key=lambda folder: (folder.count("/") + bool(folder), folder))

    def below(self, folder: str, without: Iterable[str] = ()) -> list[str]:
        """List the files below a folder, as seen from it.

        `without` are folders below it that are left out.
        """
        head = f"{folder}/" if folder else ""
        inner = tuple(
            f"{other}/" for other in without if other != folder and other.startswith(head)
        )
        start = bisect_left(self._sorted, head)
        end = (
            bisect_left(self._sorted, head[:-1] + "0") if head else len(self._sorted)
        )  # "0" follows "/"
        return [
            path.removeprefix(head)
            for path in self._sorted[start:end]
            if not path.startswith(inner)
        ]

    def matched(self, patterns: Iterable[str]) -> Iterator[str]:
        """Go through the files that a pattern matches."""
        wanted = list(patterns)
        return (path for path in self._sorted if globs.matches_any(wanted, path))

    def has(self, folder: str, *names: str) -> str:
        """Return the first of these files that the folder has, or an empty text."""
        return next((name for name in names if within(folder, name) in self.files), "")

    def holds(self, folder: str, path: str) -> bool:
        """Tell whether something lies in a folder of the checkout, known to git or not."""
        return (self.root / folder / path).exists()

    def finds(self, program: str, *folders: str) -> bool:
        """Tell whether a program can be found.

        On the PATH, or in one of these folders of the checkout.
        """
        path = self.environ.get("PATH", "")
        own = (self.root / folder / program for folder in folders)
        return shutil.which(program, path=path) is not None or any(one.exists() for one in own)

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.files)


def _ini(text: str) -> object:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as exc:
        raise ValueError(str(exc)) from exc
    return {name: dict(parser[name]) for name in parser.sections()}


def _yaml(text: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ValueError(str(exc)) from exc


def within(folder: str, path: str) -> str:
    """Name a file of a folder as seen from the root."""
    return f"{folder}/{path}" if folder else path


def cd(folder: str) -> str:
    """Write the start of a shell command that is run in a folder."""
    return f"cd {shlex.quote(folder)} && " if folder else ""


def table(value: object, *keys: str) -> dict[str, Any]:
    """Go down a file's content by keys; whatever is no table on the way counts as an empty one."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _is_own(folder: str) -> bool:
    parts = folder.split("/")
    return (
        _ASIDE.isdisjoint(parts)
        and not any(part.startswith(".") for part in parts)
        and globs.why_invalid(folder) is None
        and not {"*", "?"} & set(folder)
    )
