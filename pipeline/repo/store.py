"""The trusted store: one bare repository for each of the user's, where all refs of runs live.

It borrows objects from the user's repository by alternates and has a configuration of our own, so
nothing that an agent or the repository plants (filters, hooks, textconv) runs when we commit.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from pipeline.errors import UsageProblem
from pipeline.files import atomic
from pipeline.language import globs
from pipeline.repo.git import Git, GitError

NO_COMMIT = "0" * 40
FILE_MAX_BYTES = 50_000_000

_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tbare = true
\tlogAllRefUpdates = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
"""

LITTER = """\
__pycache__/
*.py[cod]
.pytest_cache/
.mypy_cache/
.ruff_cache/
.hypothesis/
.coverage
node_modules/
.venv/
*.tmp.[0-9]*
"""


class TreeChange(msgspec.Struct, frozen=True, kw_only=True):
    """One path that differs between two trees: `status` is A, M, D or T.

    `mode` and `blob` are the new side's.
    """

    path: str
    status: str
    mode: str
    blob: str
    old_mode: str = ""


class PinnedBase(msgspec.Struct, frozen=True, kw_only=True):
    """The commit that a run starts from, and its tree."""

    commit: str
    tree: str


def repo_id(common_dir: Path) -> str:
    """Name a repository in the state folder: readable, and unique for its path."""
    name = common_dir.parent.name if common_dir.name == ".git" else common_dir.name
    digest = hashlib.sha256(os.fsencode(common_dir)).hexdigest()[:12]
    return f"{name[:40]}-{digest}"


class Store:
    """The bare repository; safe to use from several threads and processes."""

    def __init__(
        self,
        folder: Path,
        borrowed: Path,
        *,
        object_format: str = "sha1",
        filters: Callable[[], Mapping[str, str]] = dict,
        file_max_bytes: int = FILE_MAX_BYTES,
    ) -> None:
        """Open the store in `folder`, making it if need be; objects are borrowed from `borrowed`.

        `filters` looks up the person's `filter.*` configuration when it is wanted; no file larger
        than `file_max_bytes` is taken from an agent.
        """
        self.folder = folder
        self.object_format = object_format
        self.filters = filters
        self.file_max_bytes = file_max_bytes
        self._make(borrowed)
        self.git = Git(folder, env={"GIT_DIR": str(folder)})
        self._grafts: dict[tuple[str, str, tuple[str, ...]], str] = {}

    def _make(self, borrowed: Path) -> None:
        for name in ("objects/info", "objects/pack", "refs/heads", "info", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        wanted = {
            "config": _CONFIG + self.format_section(),
            "objects/info/alternates": f"{borrowed}\n",
            "info/exclude": LITTER,
            "HEAD": "ref: refs/heads/none\n",
        }
        for name, text in wanted.items():
            path = self.folder / name
            if not path.exists() or path.read_text() != text:
                atomic.write_text(path, text)
        self._make_shallow(borrowed.parent / "shallow")

    def format_section(self) -> str:
        """Return what a configuration says for repositories with another hash than SHA-1.

        It stands after the rest.
        """
        if self.object_format == "sha1":
            return ""
        return f"[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = {self.object_format}\n"

    def _make_shallow(self, theirs: Path) -> None:
        """Let history end where the user's does: in a shallow clone the parents are not there."""
        ours = self.folder / "shallow"
        if theirs.exists() and (not ours.exists() or ours.read_bytes() != theirs.read_bytes()):
            atomic.write_bytes(ours, theirs.read_bytes())
        elif ours.exists() and not theirs.exists():
            ours.unlink()

    def has(self, commit: str) -> bool:
        """Tell whether an object is there, in the store or in what it borrows."""
        return self.git.works("cat-file", "-e", commit)

    def tree_of(self, commit: str) -> str:
        """Return the tree hash of a commit."""
        return self.git("rev-parse", f"{commit}^{{tree}}")

    def ref(self, name: str) -> str:
        """Return the commit a ref points to, or an empty text."""
        return self.git("rev-parse", "--verify", "--quiet", name, ok=(0, 1))

    def set_ref(self, name: str, new: str, old: str) -> None:
        """Move a ref by compare-and-swap; being there already counts as done.

        Raises `GitError` when beaten.
        """
        old = "0" * len(new) if old == NO_COMMIT else old
        try:
            self.git("update-ref", name, new, old)
        except GitError:
            if self.ref(name) != new:
                raise

    def refs_below(self, prefix: str) -> dict[str, str]:
        """Return all refs below a prefix with their commits."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def delete_ref(self, name: str) -> None:
        """Delete a ref; one that is not there is fine."""
        self.git("update-ref", "-d", name)

    def commit(
        self,
        tree: str,
        parent: str,
        message: str,
        *,
        author: str,
        at: datetime,
        other_parent: str = "",
        signer: Git | None = None,
    ) -> str:
        """Make a commit whose hash depends on these arguments alone, so that a replay makes the same one.

        With `signer`, the person's git, it is signed with their key, and is another one each time.
        """
        name, _, mail = author.rpartition(" <")
        stamp = f"@{int(at.timestamp())} +0000"
        identity = {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": mail.rstrip(">"),
            "GIT_AUTHOR_DATE": stamp,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": mail.rstrip(">"),
            "GIT_COMMITTER_DATE": stamp,
        }
        parents = ["-p", parent, *(["-p", other_parent] if other_parent else [])]
        if signer is None:
            return self.git(
                "commit-tree", tree, *parents, "-F", "-", stdin=message.encode(), env=identity
            )
        env = {**identity, "GIT_OBJECT_DIRECTORY": str(self.folder / "objects")}
        return signer(
            "commit-tree", "-S", tree, *parents, "-F", "-", stdin=message.encode(), env=env
        )

    def diff(self, old: str, new: str) -> list[TreeChange]:
        """List the paths that differ between two trees or commits; renames are an A and a D."""
        if old == new:
            return []
        fields = self.git("diff-tree", "-r", "-z", "--no-renames", old, new).split("\0")
        changes = []
        for head, path in zip(fields[0::2], fields[1::2], strict=False):
            old_mode, mode, _, blob, status = head.split(" ")
            changes.append(
                TreeChange(path=path, status=status, mode=mode, blob=blob, old_mode=old_mode[1:])
            )
        return changes

    def patch(self, old: str, new: str, *, as_text: bool = False) -> bytes:
        """Return the change between two trees as a binary patch.

        `as_text` with all bytes as they are, to search.
        """
        how = "--text" if as_text else "--binary"
        return self.git.raw(
            "diff-tree", "-r", "-p", how, "--no-ext-diff", "--no-textconv", old, new
        )

    def read(self, tree: str, path: str) -> bytes | None:
        """Return a file of a tree, or None when it has none of that name."""
        try:
            return self.git.raw("cat-file", "blob", f"{tree}:{path}")
        except GitError:
            return None

    def paths(self, tree: str) -> list[str]:
        """List all paths of a tree."""
        return [
            path
            for path in self.git("ls-tree", "-r", "-z", "--name-only", tree).split("\0")
            if path
        ]

    def graft(self, onto: str, source: str, patterns: Sequence[str]) -> str:
        """Return the tree `onto` with every path that matches `patterns` as it is in the tree `source`."""
        key = (onto, source, tuple(patterns))
        if key not in self._grafts:
            self._grafts[key] = self._graft(onto, source, patterns)
        return self._grafts[key]

    def graft_paths(self, onto: str, source: str, paths: AbstractSet[str]) -> str:
        """Return the tree `onto` with exactly these paths as they are in the tree `source`."""
        return self._put(
            onto, [change for change in self.diff(onto, source) if change.path in paths]
        )

    def only(self, tree: str, patterns: Sequence[str]) -> str:
        """Return a tree without the paths that match none of the patterns."""
        return self.graft(self.git("mktree", stdin=b""), tree, patterns)

    def with_file(self, tree: str, path: str, data: bytes) -> str:
        """Return a tree in which one file that it has holds other bytes."""
        blob = self.git("hash-object", "-w", "--stdin", stdin=data)
        mode = self.git("ls-tree", tree, "--", path).partition(" ")[0]
        return self._put(tree, [TreeChange(path=path, status="M", mode=mode, blob=blob)])

    def _graft(self, onto: str, source: str, patterns: Sequence[str]) -> str:
        return self._put(
            onto,
            [
                change
                for change in self.diff(onto, source)
                if globs.matches_any(patterns, change.path)
            ],
        )

    def _put(self, onto: str, changes: list[TreeChange]) -> str:
        if not changes:
            return onto
        changes.sort(key=lambda change: change.status != "D")
        lines = (f"{change.mode} {change.blob}\t{change.path}\0" for change in changes)
        with self.private_index() as env:
            self.git("read-tree", onto, env=env)
            stdin = "".join(lines).encode("utf-8", "surrogateescape")
            self.git("update-index", "-z", "--index-info", stdin=stdin, env=env)
            return self.git("write-tree", env=env)

    @contextmanager
    def private_index(self) -> Iterator[Mapping[str, str]]:
        """Lend an index file that nobody else sees, as an environment for git calls."""
        with tempfile.TemporaryDirectory(dir=self.folder / "tmp") as folder:
            yield {"GIT_INDEX_FILE": str(Path(folder) / "index")}

    def require(self, commit: str) -> None:
        """Raise `UsageProblem` when the user's repository has lost an object that a run stands on."""
        if not self.has(f"{commit}^{{tree}}"):
            raise UsageProblem(
                f"the commit {commit[:12]} is no longer in the repository (pruned, or its folder moved)",
                f"Bring it back (git fetch origin {commit}; or from another clone), then type the same command again",
            )
