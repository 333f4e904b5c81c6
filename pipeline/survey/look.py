"""A repository as the survey sees it: tracked files, their text, and which programs can be found.

Nothing is run but `git`, and nothing is written; what a person has not committed counts as well, because a flow is
written for the checkout as it lies there.
"""

import json
import shutil
import tomllib
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

_TEXT_MAX_BYTES = 512 * 1024
_NOT_OURS = frozenset(
    {"node_modules", "vendor", "third_party", "site-packages", ".venv", "venv", "testdata", "fixtures"}
)


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was found: what, its value, and by what it was told."""

    what: str
    value: str
    why: str


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the repository that is built and tested on its own, as a target of the flow file.

    `setup` is what brings its dependencies, run in the root of a workspace; `missing` are checks that the
    repository has, but whose program cannot be found.
    """

    name: str
    language: str
    folder: str = ""
    source: tuple[str, ...]
    tests: tuple[str, ...]
    command: str
    exit_code_only: bool = False
    runner: str = ""
    checks: tuple[str, ...] = ()
    format: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    why: str = ""


class Look:
    """One repository, looked at once."""

    def __init__(self, root: Path, tracked: Collection[str], environ: Mapping[str, str]) -> None:
        """`tracked` are the files that git knows or would take; `environ` says where programs are looked for."""
        self.root = root
        self.files = frozenset(path for path in tracked if _NOT_OURS.isdisjoint(path.split("/")[:-1]))
        self.environ = environ

    def text(self, path: str) -> str:
        """Return a file's text, empty when it is not there, too large or not tracked."""
        file = self.root / path
        if path not in self.files or file.is_symlink() or not file.is_file() or file.stat().st_size > _TEXT_MAX_BYTES:
            return ""
        return file.read_text(errors="replace")

    def toml(self, path: str) -> dict[str, Any]:
        """Return a TOML file's content, empty when it is not there or cannot be read."""
        try:
            return tomllib.loads(self.text(path))
        except tomllib.TOMLDecodeError:
            return {}

    def json(self, path: str) -> dict[str, Any]:
        """Return a JSON file's content, empty when it is not there, cannot be read or is no object."""
        try:
            found = json.loads(self.text(path) or "{}")
        except json.JSONDecodeError:
            return {}
        return found if isinstance(found, dict) else {}

    def named(self, *names: str, depth: int = 4) -> list[str]:
        """List the folders that hold a file of one of these names, `` for the root, the shallowest first."""
        folders = {
            "" if path.parent == PurePosixPath() else str(path.parent)
            for path in map(PurePosixPath, self.files)
            if path.name in names and len(path.parts) <= depth
        }
        return sorted(folders, key=lambda folder: (folder.count("/") + bool(folder), folder))

    def below(self, folder: str) -> list[str]:
        """List the files below a folder, as seen from it."""
        head = f"{folder}/" if folder else ""
        return [path.removeprefix(head) for path in self._sorted if path.startswith(head)]

    def has(self, folder: str, *names: str) -> str:
        """Return the first of these files that the folder has, or an empty text."""
        return next((name for name in names if within(folder, name) in self.files), "")

    def finds(self, program: str, *folders: str) -> bool:
        """Tell whether a program can be found: on the PATH, or in one of these folders of the checkout."""
        path = self.environ.get("PATH", "")
        own = (self.root / folder / program for folder in folders)
        return shutil.which(program, path=path) is not None or any(one.exists() for one in own)

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.files)


def within(folder: str, path: str) -> str:
    """Name a file of a folder as seen from the root."""
    return f"{folder}/{path}" if folder else path
