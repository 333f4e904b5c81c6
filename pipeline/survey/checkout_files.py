"""A repository as the survey sees it: tracked files, their text, and which programs are installed.

Nothing but `git` is run, and nothing is written. Uncommitted files count, too, because a flow is
written for the checkout as it is.
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
_NOT_OURS = frozenset({
    "node_modules", "vendor", "third_party", "site-packages", ".venv", "venv",
    "testdata", "fixtures",
})  # fmt: skip
NOT_TARGETS = frozenset({
    "example", "examples", "sample", "samples", "demo", "demos", "doc", "docs",
    "template", "templates", "bench", "benchmark", "benchmarks", "test", "tests",
    "_vendor", "_vendored", "vendored", "external", "website",
})  # fmt: skip
"""Folders whose projects are examples, or belong to somebody else: no targets."""


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was found: what it is, its value, and the evidence for it."""

    what: str
    value: str
    why: str


class FoundService(msgspec.Struct, frozen=True, kw_only=True):
    """A server that tests need: shell commands that run it, ask whether it answers, and stop it."""

    start: str
    ready: str
    stop: str


class FoundTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the repository that is built and tested on its own: a target of the flow file.

    `setup` installs its dependencies, run in the root of a workspace, and again when one of
    `inputs` changes; `missing` are checks that the repository has, but whose program is not
    installed. `package` is the name that others depend on, `wants` the packages that it depends
    on, both as its language names them; `depends` are the targets among those. `env` and
    `services` are what its tests need beside its files, found in the file that `surroundings`
    names. The names of the fields are keys of `pipeline init --json`.
    """

    name: str
    language: str
    folder: str = ""
    source: tuple[str, ...]
    tests: tuple[str, ...]
    docs: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    command: str
    exit_code_only: bool = False
    runner: str = ""
    checks: tuple[str, ...] = ()
    format: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    package: str = ""
    wants: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    is_tested: bool = True
    why: str = ""
    env: dict[str, str] = {}
    services: tuple[FoundService, ...] = ()
    surroundings: str = ""
    has_docker: bool = False

    @property
    def family(self) -> str:
        """The language whose package names `package` and `wants` are."""
        return "JavaScript" if self.language == "TypeScript" else self.language


class Addition(msgspec.Struct, frozen=True, kw_only=True):
    """Lines that a file of the repository needs at its end once `agents/` exists."""

    path: str
    text: str
    why: str


class CheckoutFiles:
    """One repository; each of its files is parsed once."""

    def __init__(self, root: Path, tracked: Collection[str], environ: Mapping[str, str]) -> None:
        """`tracked` are the files that git knows or would add.

        `environ` has the PATH on which programs are searched.
        """
        self.root = root
        self.files = frozenset(
            path for path in tracked if _NOT_OURS.isdisjoint(path.split("/")[:-1])
        )
        self._tracked = frozenset(tracked)
        self.environ = environ
        self.broken: dict[str, str] = {}
        self._known: dict[str, dict[str, Any]] = {}

    def text(self, path: str) -> str:
        """Return a file's text, empty when it is missing, too large, not tracked or a link."""
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
        """Return a TOML file's content, empty when it is missing or unreadable."""
        return self._parsed(path, tomllib.loads)

    def json(self, path: str) -> dict[str, Any]:
        """Return a JSON file's content, empty when it is missing, unreadable or not an object."""
        return self._parsed(path, json.loads)

    def yaml(self, path: str) -> dict[str, Any]:
        """Return a YAML file's content, empty when it is missing, unreadable or not a mapping."""
        return self._parsed(path, _yaml)

    def ini(self, path: str) -> dict[str, Any]:
        """Return the sections of an INI file, empty when it is missing or unreadable."""
        return self._parsed(path, _ini)

    def _parsed(self, path: str, parse: Callable[[str], object]) -> dict[str, Any]:
        if path not in self._known and (text := self.text(path)):
            try:
                self._known[path] = table(parse(text.removeprefix("\ufeff")))
            except (ValueError, RecursionError) as exc:
                self._known[path] = {}
                self.broken[path] = str(exc).partition("\n")[0]
        return self._known.get(path, {})

    def folders_with(self, *names: str, depth: int = 4) -> list[str]:
        """Return the project folders with a file of one of these names, the shallowest first.

        The root is the empty text.
        """
        folders = {
            "" if path.parent == PurePosixPath() else str(path.parent)
            for path in map(PurePosixPath, self.files)
            if path.name in names and len(path.parts) <= depth
        }
        own = [folder for folder in folders if not folder or _is_own(folder)]
        return sorted(own, key=lambda folder: (folder.count("/") + bool(folder), folder))

    def below(self, folder: str, without: Iterable[str] = ()) -> list[str]:
        """Return the files below a folder, relative to it, except those below `without`."""
        head = f"{folder}/" if folder else ""
        inner = tuple(
            f"{other}/" for other in without if other != folder and other.startswith(head)
        )
        start = bisect_left(self._sorted, head)
        # "0" is the character after "/": no path below the folder sorts behind it.
        end = bisect_left(self._sorted, head[:-1] + "0") if head else len(self._sorted)
        return [
            path.removeprefix(head)
            for path in self._sorted[start:end]
            if not path.startswith(inner)
        ]

    def matched(self, patterns: Iterable[str]) -> Iterator[str]:
        """Yield the files that one of the patterns matches."""
        wanted = list(patterns)
        return (path for path in self._sorted if globs.matches_any(wanted, path))

    def has(self, folder: str, *names: str) -> str:
        """Return the first of these files that is in the folder, or an empty text."""
        return next((name for name in names if within(folder, name) in self.files), "")

    def is_tracked(self, path: str) -> bool:
        """Return whether git knows this very path, in a vendored folder or not."""
        return path in self._tracked

    def holds(self, folder: str, path: str) -> bool:
        """Return whether a path exists in a folder of the checkout, known to git or not."""
        return (self.root / folder / path).exists()

    def has_program(self, program: str, *folders: str) -> bool:
        """Return whether a program is on the PATH or in one of these folders of the checkout."""
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
    """Return the path of a file of a folder, relative to the root."""
    return f"{folder}/{path}" if folder else path


def cd(folder: str) -> str:
    """Return the start of a shell command that runs in a folder."""
    return f"cd {shlex.quote(folder)} && " if folder else ""


def table(value: object, *keys: str) -> dict[str, Any]:
    """Return the table under these keys; anything else on the way counts as an empty one."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _is_own(folder: str) -> bool:
    parts = folder.split("/")
    return (
        NOT_TARGETS.isdisjoint(parts)
        and not any(part.startswith(".") for part in parts)
        and globs.why_invalid(folder) is None
        and not {"*", "?"} & set(folder)
    )
