"""A workspace: a folder an agent works in, checked out from the store, and never trusted.

Its `.git` is made by hand before every stage, and only one that nobody touched is used again:
agents see a correct log and status, have no remote, and what they plant there dies. We never run
git with it: our own index lies beside the folder, and our git directory is the store. What the last
walk saw is kept beside it too, so that another process, or the next run, goes on with the folder
and touches only what differs.
"""

import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec

from pipeline.core.violations import Violation, ViolationKind
from pipeline.files import atomic
from pipeline.files.trees import remove
from pipeline.language import globs
from pipeline.repo.git import Git
from pipeline.repo.links import IncludedFiles, Linked, Linker, SetUp, parents
from pipeline.repo.scan import Scan, differing, packed, scan, settle
from pipeline.repo.sparse import Sparse
from pipeline.repo.store import LITTER, Store, TreeChange
from pipeline.repo.tree_writer import EMPTY_CONFIG, TreeWriter, is_plain_name

PROTECTED = (
    ".gitmodules", "**/.gitattributes", ".github/**", ".gitlab-ci.yml", ".husky/**", ".pre-commit-config.yaml",
    ".claude/**", ".mcp.json", ".codex/**", ".cursor/**", ".vscode/**", ".idea/**", "**/.envrc",
    "agents/flow.yaml", "agent_prompts/**", ".triggers/**", ".locks/**", "docs/status/**", "docs/plans/runs/**",
)  # fmt: skip
"""Paths that no stage may write, whatever its globs say: they run code or steer us."""

_SPECIAL = re.compile(r"([\\*?\[!# ])")


class Harvest(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage did to its workspace, as a tree, and what of it was not allowed."""

    tree: str
    changes: tuple[TreeChange, ...]
    violations: tuple[Violation, ...]


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the folder, as it was when nobody worked in it."""

    tree: str
    sparse: tuple[str, ...]
    seen: Scan
    linked: Linked


class Workspace:
    """One checkout, used by one stage at a time."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        *,
        set_up: Callable[[str], SetUp | None] | None = None,
        included: IncludedFiles | None = None,
        sparse: tuple[str, ...] = (),
        port_base: int = 0,
        setup_digest: Callable[[str], str] = lambda _: "",
    ) -> None:
        """Nothing is made before `prepare`.

        `set_up` gives what a tree needs besides its files, and may block; `setup_digest` names it without
        making it. `port_base` is the first port that commands in it may use, 0 for none.
        """
        self.folder = folder
        self.store = store
        self.tree = ""
        self.size_bytes = 0
        self.port_base = port_base
        self.setup_digest = setup_digest
        self._set_up = set_up
        self._index = folder.with_name(folder.name + ".index")
        self._kept = folder.with_name(folder.name + ".seen")
        self._linker = Linker(folder, included)
        self._sparse = Sparse(folder.with_name(folder.name + ".git"), store.folder, sparse)
        self._seen: Scan | None = None
        self._git_of: tuple[str, ...] = ()
        self._git_seen = Scan({}, (), ())
        env = {
            "GIT_DIR": str(self._sparse.git_dir),
            "GIT_WORK_TREE": str(folder),
            "GIT_INDEX_FILE": str(self._index),
        }
        self._git = Git(store.folder, env=env, options=self._sparse.options)

    def prepare(
        self,
        commit: str,
        tree: str,
        *,
        with_git: bool = True,
        whole: str = "",
        reads: tuple[str, ...] | None = None,
    ) -> None:
        """Bring the folder to exactly this tree, whatever was left in it, with a fresh `.git` at `commit`.

        Then lend it what set-up made, of the tree `whole` if this one is only a part, and of the files that a person
        named those that match `reads`. Raises what `set_up` raises.
        """
        if self.folder.is_symlink() or not self.folder.is_dir():
            remove(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(self.folder.stat().st_mode | 0o700)
        if not (with_git and self._has_git(commit, tree)):
            self._drop_git()
        self._linker.reads = reads
        needed = self._set_up(whole or tree) if self._set_up is not None else None
        if self._seen is None:
            self._recall()
        try:
            now = scan(self.folder, without=self._linker.tops)
        except OSError:  # a path longer than the system takes: nothing of it can be looked at
            self._seen, now = None, Scan({}, (), ())
        stale = self._seen is None or self.tree != tree or now != self._seen
        if stale or self._linker.is_stale(needed):
            self._drop_git()
            self._kept.unlink(missing_ok=True)
            stale = self._linker.drop(needed) or stale
            seen = self._restore(tree, now) if stale else now
            self._linker.link(needed, seen)
            if not parents(self._linker.tops) <= seen.folders.keys():
                seen = scan(self.folder, without=self._linker.tops)
            settle(self.folder.parent)
            self._remember(tree, seen)
        if with_git and not self._git_of:
            self._make_git(commit)
            self._git_of, self._git_seen = (commit, tree), scan(self.folder, only=[".git"])
            settle(self.folder.parent)

    def _has_git(self, commit: str, tree: str) -> bool:
        """Tell whether the `.git` of the last stage is the right one, and nobody touched anything in it."""
        return self._git_of == (commit, tree) and scan(self.folder, only=[".git"]) == self._git_seen

    def _drop_git(self) -> None:
        remove(self.folder / ".git")
        self._git_of = ()

    def _recall(self) -> None:
        """Take up what an earlier process saw of the folder."""
        try:
            kept = msgspec.msgpack.decode(self._kept.read_bytes(), type=_Kept)
        except (OSError, msgspec.DecodeError):
            return
        if kept.sparse == self._sparse.folders and self._index.exists():
            self._linker.linked = kept.linked
            self._take(kept.tree, kept.seen)

    def _remember(self, tree: str, seen: Scan) -> None:
        self._take(tree, seen)
        kept = _Kept(tree=tree, sparse=self._sparse.folders, seen=seen, linked=self._linker.linked)
        if (data := packed(kept) or packed(self._bare())) is not None:
            atomic.write_bytes(self._kept, data, durable=False)

    def _bare(self) -> _Kept:
        """Say only what is lent, where a name in the folder is no text.

        What it looked like is found out anew then.
        """
        lent = msgspec.structs.replace(self._linker.linked, files=Scan({}, (), ()))
        return _Kept(tree="", sparse=self._sparse.folders, seen=Scan({}, (), ()), linked=lent)

    def _take(self, tree: str, seen: Scan) -> None:
        self.tree, self._seen = tree, seen
        self.size_bytes = seen.size_bytes + self._linker.linked.files.size_bytes

    def _restore(self, tree: str, now: Scan) -> Scan:
        """Take away everything that the last tree did not have like this, and let git write what is missing.

        Returns what is there then. A tree has no empty folders.
        """
        seen = self._seen
        self._index.with_name(self._index.name + ".lock").unlink(missing_ok=True)
        if seen is None:
            self._index.unlink(missing_ok=True)
            self._linker.forget()
            for child in self.folder.iterdir():
                remove(child)
        else:
            self._clear(seen, now)
        self._sparse.write()
        self._git("read-tree", "--reset", "-u", tree)
        if tops := self._linker.tops:
            tracked = self._git("ls-files", "-z", "--", *(f":(literal){top}" for top in tops))
            if tracked and self._linker.give_back(tracked.split("\0")):
                self._git("read-tree", "--reset", "-u", tree)
        found = scan(self.folder, without=self._linker.tops)
        self._linker.refit(found)
        for path in sorted(
            found.folders.keys() - parents((*found.files, *self._linker.tops)), reverse=True
        ):
            (self.folder / path).rmdir()
            del found.folders[path]
        return found

    def _clear(self, seen: Scan, now: Scan) -> None:
        """Remove what was not there like this.

        Only what our own walk has found, so no link is followed.
        """
        for path, mode in now.folders.items():
            if mode != seen.folders.get(path):
                (self.folder / path).chmod(stat.S_IMODE(seen.folders.get(path, 0o755)) | 0o700)
        for path in (*now.files, *now.special, *now.nested):
            if path not in seen.files or now.files.get(path) != seen.files[path]:
                remove(self.folder / path)
        for path in sorted(now.folders, reverse=True):
            if path not in seen.folders:
                (self.folder / path).rmdir()

    def _tracked(self, *, checked_out: bool) -> set[str]:
        """List what of the index is checked out, or what is not; submodules are neither."""
        lines = self._git("ls-files", "-z", "--stage", "-t").split("\0")
        heads = (line.partition("\t") for line in lines if line)
        return {
            path
            for head, _, path in heads
            if (head[0] != "S") is checked_out and head[2:8] != "160000"
        }

    def _make_git(self, commit: str) -> None:
        git = self.folder / ".git"
        (git / "objects" / "info").mkdir(parents=True)
        (git / "refs").mkdir()
        (git / "info").mkdir()
        (git / "HEAD").write_text(f"{commit}\n")
        (git / "config").write_text(
            EMPTY_CONFIG + self._sparse.config + self.store.format_section()
        )
        hidden = "".join(
            f"/{_SPECIAL.sub(lambda found: chr(92) + found[1], top)}\n"
            for top in sorted(self._linker.tops)
        )
        (git / "info" / "exclude").write_text(LITTER + hidden)
        if self._sparse.folders:
            (git / "info" / "sparse-checkout").write_text(self._sparse.patterns)
        (git / "objects" / "info" / "alternates").write_text(f"{self.store.folder / 'objects'}\n")
        shutil.copy2(self._index, git / "index")
        if (shallow := self.store.folder / "shallow").exists():
            shutil.copyfile(shallow, git / "shallow")

    def programs(self, inside: str = "") -> tuple[Path, ...]:
        """Name the folders whose own programs go in front of the PATH, the last first."""
        return (self.folder, self.folder / inside) if inside else (self.folder,)

    def take_up(self, tree: str) -> None:
        """Go on with a folder that an earlier process prepared with `tree`.

        When it is not known how the folder looked then, everything in it counts as touched.
        """
        self._recall()
        if self._seen is None or self.tree != tree:
            self._seen = Scan(
                dict.fromkeys(self._tracked(checked_out=True), (0, 0, 0, 0, 0)), (), ()
            )
        self.tree = tree

    def harvest(self, writes: tuple[str, ...], since: str) -> Harvest:
        """Turn what lies in the folder now into a tree.

        Hold the change since the tree `since` against `writes`.
        """
        tree, violations = self.read()
        changes = tuple(self.store.diff(since, tree))
        for change in changes:
            if (violation := _violation(change, writes, self.folder)) is not None:
                violations.append(violation)
        return Harvest(tree=tree, changes=changes, violations=tuple(violations))

    def read(self) -> tuple[str, list[Violation]]:
        """Turn what lies in the folder now into a tree; return it with what could not be taken in."""
        if self.folder.is_symlink() or not self.folder.is_dir():
            return self.tree, [Violation(kind=ViolationKind.WORKSPACE_REMOVED)]
        self.folder.chmod(self.folder.stat().st_mode | 0o700)
        now = scan(self.folder, without=self._linker.tops)
        before = self._seen or Scan({}, (), ())
        violations = [
            *(Violation(kind=ViolationKind.NESTED_REPOSITORY, path=path) for path in now.nested),
            *(Violation(kind=ViolationKind.SPECIAL_FILE, path=path) for path in now.special),
        ]
        touched = [path for path in differing(before, now) if not _inside(path, now.nested)]
        if not touched:
            return self.tree, violations
        hidden = self._tracked(checked_out=False) if self._sparse.folders else set()
        writer = TreeWriter(self.folder, self.store, self._git, self._index)
        tree, left_out = writer.write(touched, now, tracked=before.files, hidden=hidden)
        return tree, [*violations, *left_out]


def _violation(change: TreeChange, writes: tuple[str, ...], folder: Path) -> Violation | None:
    """Return the rule that one change breaks, or None."""
    kind, detail = None, ""
    if not is_plain_name(change.path):
        kind = ViolationKind.UNPRINTABLE_NAME
    elif globs.matches_any(PROTECTED, change.path):
        kind = ViolationKind.PROTECTED_PATH
    elif not globs.matches_any(writes, change.path):
        kind, detail = ViolationKind.OUTSIDE_ITS_PATHS, ", ".join(writes) or "it may write none"
    elif "160000" in {change.mode, change.old_mode}:
        kind = ViolationKind.SUBMODULE
    elif change.mode == "120000" and _escapes(folder, change.path):
        kind = ViolationKind.LINK_OUTSIDE
    return None if kind is None else Violation(kind=kind, path=change.path, detail=detail)


def _escapes(folder: Path, path: str) -> bool:
    target = (folder / path).readlink()
    landing = Path(os.path.normpath(Path(path).parent / target))
    return target.is_absolute() or landing.parts[:1] == ("..",)


def _inside(path: str, repositories: tuple[str, ...]) -> bool:
    return any(path.startswith(repository.removesuffix(".git")) for repository in repositories)
