"""Run clean filters (Git LFS and others) where no agent can influence them.

A workspace holds files exactly as the repository stores them: no smudge filter runs there. When an
agent changed a filtered file, its content is cleaned in an empty folder, with the `filter.*`
settings of the person's own git configuration. A filter command runs in the top of the work tree
and may be relative (`scripts/tidy.sh`), so in the workspace it would be a file the agent wrote.
"""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from pipeline.repo.git import Git, GitError

_UNSET = frozenset({"unspecified", "unset", "set", ""})
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_POINTER_MAX_BYTES = 1024


class FilterAttributes(msgspec.Struct, frozen=True, kw_only=True):
    """The attributes of one path that decide how its content is stored."""

    filter: str
    text: str
    eol: str

    def gitattributes_line(self) -> str:
        """Return the line of `.gitattributes` that gives every path these attributes."""
        words = ["*", f"filter={self.filter}"]
        words += {"set": ["text"], "unset": ["-text"], "auto": ["text=auto"]}.get(self.text, [])
        return (
            " ".join([*words, *([f"eol={self.eol}"] if self.eol in {"lf", "crlf"} else [])]) + "\n"
        )


def filter_attributes(
    git: Git, index: Mapping[str, str], paths: Iterable[str]
) -> dict[str, FilterAttributes]:
    """Return the paths that have a filter, by the attributes in an index."""
    stdin = "\0".join(paths).encode("utf-8", "surrogateescape")
    wanted = ("filter", "text", "eol")
    fields = git("check-attr", "--cached", "-z", "--stdin", *wanted, stdin=stdin, env=index).split(
        "\0"
    )
    values_by_path: dict[str, dict[str, str]] = {}
    for path, name, value in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        values_by_path.setdefault(path, {})[name] = value
    return {
        path: FilterAttributes(**values)
        for path, values in values_by_path.items()
        if values["filter"] not in _UNSET
    }


def clean(
    store: Path,
    config: str,
    settings: Mapping[str, str],
    path: str,
    data: bytes,
    attributes: FilterAttributes,
) -> str:
    """Store the content as its filter cleans it; return the blob's id.

    `config` is the git configuration of the temporary folder, `settings` are the person's
    `filter.*` settings. Raises `GitError` if the filter fails or is not configured.
    """
    filter_settings = {
        name: value
        for name, value in settings.items()
        if name.startswith(f"filter.{attributes.filter}.")
    }
    if not any(name.endswith((".clean", ".process")) for name in filter_settings):
        raise GitError(
            ("hash-object", path),
            1,
            f"the filter {attributes.filter} is not set up in your git configuration",
        )
    # `required` makes git fail when the filter does; without it git stores the raw content, with no
    # error: megabytes where a pointer was meant, or plain text where it should be encrypted.
    options = [
        f"{name}={value}"
        for name, value in {
            **filter_settings,
            f"filter.{attributes.filter}.required": "true",
        }.items()
    ]
    options.append(f"lfs.storage={store / 'lfs'}")
    with tempfile.TemporaryDirectory(dir=store / "tmp") as name:
        folder = Path(name)
        (folder / ".git" / "refs").mkdir(parents=True)
        (folder / ".git" / "objects").mkdir()
        # The least that git takes for a repository: HEAD, refs/ and objects/.
        (folder / ".git" / "HEAD").write_text("ref: refs/heads/none\n")
        (folder / ".git" / "config").write_text(config)
        (folder / ".gitattributes").write_text(attributes.gitattributes_line())
        # PYTHONSAFEPATH keeps a filter written in Python from importing out of the current folder.
        env = {"GIT_OBJECT_DIRECTORY": str(store / "objects"), "PYTHONSAFEPATH": "1"}
        git = Git(folder, env=env, options=[word for option in options for word in ("-c", option)])
        return git("hash-object", "-w", f"--path={path}", "--stdin", stdin=data)


def lfs_object_id(data: bytes | None) -> str:
    """Return the id of the object that an LFS pointer refers to; empty if it is no pointer."""
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


def lfs_object_path(storage: Path, oid: str) -> Path:
    """Return where Git LFS keeps an object."""
    return storage / "objects" / oid[:2] / oid[2:4] / oid
