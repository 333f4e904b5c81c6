"""The trusted store: a bare repository beside each of the user's, with the refs of all runs.

It reads the objects of the user's repository through `objects/info/alternates` and has its own
configuration, so that nothing an agent or the repository plants (filters, hooks, textconv) runs
when the engine commits.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pipeline.errors import UsageProblem
from pipeline.files import atomic
from pipeline.language import globs
from pipeline.repo.git import Git, GitError

NO_COMMIT = "0" * 40
_SNAPSHOT_AUTHOR = "idea-to-pr <idea-to-pr@localhost>"
FILE_MAX_BYTES = 50_000_000

# No automatic gc: the trees and blobs of a stage have no ref until its commit is made, and could be
# pruned until then.
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

# `info/exclude` of the store and of every workspace: what tools leave behind is never committed,
# even where the repository's own .gitignore does not mention it.
IGNORED_LEFTOVERS = """\
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
    """One path that differs between two trees; `status` is A, M, D or T (changed type).

    `mode` and `blob` are those of the new tree.
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
    """Return a repository's name in the state folder: readable, and unique for its path."""
    name = common_dir.parent.name if common_dir.name == ".git" else common_dir.name
    digest = hashlib.sha256(os.fsencode(common_dir)).hexdigest()[:12]
    return f"{name[:40]}-{digest}"


class Store:
    """The bare repository. Safe to use from several threads and processes."""

    def __init__(
        self,
        folder: Path,
        borrowed: Path,
        *,
        object_format: str = "sha1",
        filters: Callable[[], Mapping[str, str]] = dict,
        file_max_bytes: int = FILE_MAX_BYTES,
    ) -> None:
        """Open the store in `folder`, or create it; `borrowed` is the user's object folder.

        `filters` reads the person's `filter.*` configuration when it is needed. An agent may add no
        file larger than `file_max_bytes`.
        """
        self.folder = folder
        self.object_format = object_format
        self.filters = filters
        self.file_max_bytes = file_max_bytes
        self._create(borrowed)
        self.git = Git(folder, env={"GIT_DIR": str(folder)})
        self._grafts: dict[tuple[str, str, tuple[str, ...]], str] = {}

    def _create(self, borrowed: Path) -> None:
        for name in ("objects/info", "objects/pack", "refs/heads", "info", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        wanted = {
            "config": _CONFIG + self.format_section(),
            "objects/info/alternates": f"{borrowed}\n",
            "info/exclude": IGNORED_LEFTOVERS,
            "HEAD": "ref: refs/heads/none\n",
        }
        for name, text in wanted.items():
            path = self.folder / name
            if not path.exists() or path.read_text() != text:
                atomic.write_text(path, text)
        self._copy_shallow(borrowed.parent / "shallow")

    def format_section(self) -> str:
        """Return the part of a configuration for another hash than SHA-1; it goes at the end.

        Git reads extensions only from format version 1 on, so it repeats that setting.
        """
        if self.object_format == "sha1":
            return ""
        version = "[core]\n\trepositoryformatversion = 1\n"
        return f"{version}[extensions]\n\tobjectFormat = {self.object_format}\n"

    def _copy_shallow(self, theirs: Path) -> None:
        """End history where the user's ends: in a shallow clone the parents do not exist."""
        ours = self.folder / "shallow"
        if theirs.exists() and (not ours.exists() or ours.read_bytes() != theirs.read_bytes()):
            atomic.write_bytes(ours, theirs.read_bytes())
        elif ours.exists() and not theirs.exists():
            ours.unlink()

    def has(self, commit: str) -> bool:
        """Return whether an object exists, in the store or in the user's repository."""
        return self.git.succeeds("cat-file", "-e", commit)

    def tree_of(self, commit: str) -> str:
        """Return the tree hash of a commit."""
        return self.git("rev-parse", f"{commit}^{{tree}}")

    def ref(self, name: str) -> str:
        """Return the commit that a ref points to; empty if there is no such ref."""
        return self.git("rev-parse", "--verify", "--quiet", name, ok=(0, 1))

    def set_ref(self, name: str, new: str, old: str) -> None:
        """Move a ref from `old` to `new` by compare-and-swap; already being at `new` is fine.

        Raises `GitError` if somebody else has moved it.
        """
        # "Must not exist yet" is a null id of the right length: 40 digits, or 64 with SHA-256.
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
        """Delete a ref; does nothing if there is none."""
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
        """Make a commit whose id depends on these arguments alone: a replay makes the same one.

        With `signer`, the person's git, it is signed with their key, and has a new id each time.
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

    def snapshot_commit(self, tree: str, base: PinnedBase) -> str:
        """Return a commit of a tree on top of a base; of the base's own tree, the base itself.

        It has the base's time, so that the same tree always has the same commit.
        """
        if tree == base.tree:
            return base.commit
        seconds = int(self.git("show", "-s", "--format=%ct", base.commit))
        at = datetime.fromtimestamp(seconds, UTC)
        return self.commit(tree, base.commit, "The change\n", author=_SNAPSHOT_AUTHOR, at=at)

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
        """Return the change between two trees as a patch that `git apply` takes.

        With `as_text` binary files appear with their bytes as they are, to be searched.
        """
        form = "--text" if as_text else "--binary"
        return self.git.raw(
            "diff-tree", "-r", "-p", form, "--no-ext-diff", "--no-textconv", old, new
        )

    def read(self, tree: str, path: str) -> bytes | None:
        """Return the content of a file in a tree; None if there is no such file."""
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
        """Return the tree `onto` with the paths that match `patterns` taken from `source`."""
        key = (onto, source, tuple(patterns))
        if key not in self._grafts:
            self._grafts[key] = self._graft(onto, source, patterns)
        return self._grafts[key]

    def graft_paths(self, onto: str, source: str, paths: AbstractSet[str]) -> str:
        """Return the tree `onto` with exactly these paths taken from the tree `source`."""
        return self._apply(
            onto, [change for change in self.diff(onto, source) if change.path in paths]
        )

    def only(self, tree: str, patterns: Sequence[str]) -> str:
        """Return a tree with only the paths that match one of the patterns."""
        return self.graft(self.git("mktree", stdin=b""), tree, patterns)

    def with_file(self, tree: str, path: str, data: bytes) -> str:
        """Return a tree in which one of its files has this content."""
        blob = self.git("hash-object", "-w", "--stdin", stdin=data)
        mode = self.git("ls-tree", tree, "--", path).partition(" ")[0]
        return self._apply(tree, [TreeChange(path=path, status="M", mode=mode, blob=blob)])

    def _graft(self, onto: str, source: str, patterns: Sequence[str]) -> str:
        return self._apply(
            onto,
            [
                change
                for change in self.diff(onto, source)
                if globs.matches_any(patterns, change.path)
            ],
        )

    def _apply(self, onto: str, changes: list[TreeChange]) -> str:
        if not changes:
            return onto
        # Deletions first: git refuses a file in the place of a folder that still has entries.
        changes.sort(key=lambda change: change.status != "D")
        lines = (f"{change.mode} {change.blob}\t{change.path}\0" for change in changes)
        with self.private_index() as env:
            self.git("read-tree", onto, env=env)
            stdin = "".join(lines).encode("utf-8", "surrogateescape")
            self.git("update-index", "-z", "--index-info", stdin=stdin, env=env)
            return self.git("write-tree", env=env)

    @contextmanager
    def private_index(self) -> Iterator[Mapping[str, str]]:
        """Make a temporary index file; yields the environment for git calls that use it."""
        with tempfile.TemporaryDirectory(dir=self.folder / "tmp") as folder:
            yield {"GIT_INDEX_FILE": str(Path(folder) / "index")}

    def require(self, commit: str) -> None:
        """Raise `UsageProblem` if the user's repository has lost a commit that a run needs."""
        if not self.has(f"{commit}^{{tree}}"):
            raise UsageProblem(
                f"the commit {commit[:12]} is no longer in the repository "
                "(pruned, or the folder was moved)",
                f"Fetch it again (git fetch origin {commit}, or from another clone), "
                "then run the same command again",
            )
