"""Clean filters (Git LFS and others), by the person's configuration, in a folder that no agent can reach.

A workspace holds files as the repository holds them: no smudge filter ever runs there. What an agent changed of
a filtered file is cleaned in an empty folder, so that neither attributes nor scripts of the workspace count.
"""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from pipeline.repo.git import Git, GitError

_UNSET = frozenset({"unspecified", "unset", "set", ""})
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_POINTER_MAX_BYTES = 1024


class Filtered(msgspec.Struct, frozen=True, kw_only=True):
    """The attributes of one path that decide how its content is stored."""

    filter: str
    text: str
    eol: str

    def line(self) -> str:
        """Write them as a line of `.gitattributes` for any path."""
        words = ["*", f"filter={self.filter}"]
        words += {"set": ["text"], "unset": ["-text"], "auto": ["text=auto"]}.get(self.text, [])
        return (
            " ".join([*words, *([f"eol={self.eol}"] if self.eol in {"lf", "crlf"} else [])]) + "\n"
        )


def filtered(git: Git, index: Mapping[str, str], paths: Iterable[str]) -> dict[str, Filtered]:
    """Find the paths that have a filter, by the attributes in an index."""
    stdin = "\0".join(paths).encode("utf-8", "surrogateescape")
    wanted = ("filter", "text", "eol")
    fields = git("check-attr", "--cached", "-z", "--stdin", *wanted, stdin=stdin, env=index).split(
        "\0"
    )
    told: dict[str, dict[str, str]] = {}
    for path, name, value in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        told.setdefault(path, {})[name] = value
    return {
        path: Filtered(**values) for path, values in told.items() if values["filter"] not in _UNSET
    }


def clean(
    store: Path, config: str, settings: Mapping[str, str], path: str, data: bytes, how: Filtered
) -> str:
    """Store the content as its filter cleans it; return the blob.

    `config` is for the folder that is made for it, `settings` the person's `filter.*`
    configuration. Raises `GitError` when the filter fails, or is not set up.
    """
    mine = {
        name: value for name, value in settings.items() if name.startswith(f"filter.{how.filter}.")
    }
    if not any(name.endswith((".clean", ".process")) for name in mine):
        raise GitError(
            ("hash-object", path),
            1,
            f"the filter {how.filter} is not set up in your git configuration",
        )
    options = [
        f"{name}={value}"
        for name, value in {**mine, f"filter.{how.filter}.required": "true"}.items()
    ]
    options.append(f"lfs.storage={store / 'lfs'}")
    with tempfile.TemporaryDirectory(dir=store / "tmp") as name:
        folder = Path(name)
        (folder / ".git" / "refs").mkdir(parents=True)
        (folder / ".git" / "objects").mkdir()
        (folder / ".git" / "HEAD").write_text("ref: refs/heads/none\n")
        (folder / ".git" / "config").write_text(config)
        (folder / ".gitattributes").write_text(how.line())
        env = {"GIT_OBJECT_DIRECTORY": str(store / "objects"), "PYTHONSAFEPATH": "1"}
        git = Git(folder, env=env, options=[word for option in options for word in ("-c", option)])
        return git("hash-object", "-w", f"--path={path}", "--stdin", stdin=data)


def pointed_at(data: bytes | None) -> str:
    """Return the id of the object that an LFS pointer stands for; empty when it is none."""
    if data is None or len(data) > _POINTER_MAX_BYTES or not data.startswith(_POINTER):
        return ""
    oid = next(
        (
            line[len(b"oid sha256:") :]
            for line in data.splitlines()
            if line.startswith(b"oid sha256:")
        ),
        b"",
    )
    return oid.decode("ascii", "replace") if len(oid) == 64 else ""


def lfs_path(storage: Path, oid: str) -> Path:
    """Say where LFS keeps an object."""
    return storage / "objects" / oid[:2] / oid[2:4] / oid
