"""A workspace: a folder an agent works in, checked out from the store, and never trusted.

Its `.git` is made by hand before a stage, and used again only if nobody touched it: agents see a
correct log and status, have no remote, and whatever they plant there is deleted. The engine never
runs git with it: its own index is beside the folder, and its git directory is the store. The scan
of the last walk is stored there too, so that another process, or the next run, can go on with the
folder and touch only what differs.
"""

import re
import shutil
import stat
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from pipeline.core.redact import Redactor
from pipeline.core.violations import Violation, ViolationKind
from pipeline.files import atomic
from pipeline.files.trees import remove
from pipeline.language import globs
from pipeline.repo.git import Git
from pipeline.repo.links import IncludedFiles, Linked, Linker, SetUp, folders_above
from pipeline.repo.rules import STRAY, violation_of
from pipeline.repo.scan import (
    EMPTY_SCAN,
    Scan,
    changed_paths,
    scan,
    try_encode,
    wait_for_clock_tick,
)
from pipeline.repo.sparse import Sparse
from pipeline.repo.store import IGNORED_LEFTOVERS, Store, TreeChange
from pipeline.repo.tree_writer import EMPTY_CONFIG, IgnoredFile, TreeWriter

_GITIGNORE_SPECIAL = re.compile(r"([\\*?\[!# ])")


class Harvest(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage did to its workspace, as a tree, and which changes were not allowed.

    `tree` and `changes` are the lawful part; `as_left` is the tree with all of it. `dropped` are
    new files outside the stage's paths, which break no rule and are no part of the change;
    `ignored` are new files inside them that git ignores, each with the rule.
    """

    tree: str
    changes: tuple[TreeChange, ...]
    violations: tuple[Violation, ...]
    as_left: str
    dropped: tuple[str, ...] = ()
    ignored: tuple[IgnoredFile, ...] = ()


class _SavedState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about the folder, from when nobody was working in it; saved in a file."""

    tree: str
    sparse: tuple[str, ...]
    seen: Scan
    linked: Linked


class Workspace:
    """One checkout, used by one stage at a time."""

    def __init__(  # noqa: PLR0913 - one argument for each thing that a workspace has
        self,
        folder: Path,
        store: Store,
        *,
        set_up: Callable[[str], SetUp | None] | None = None,
        included: IncludedFiles | None = None,
        sparse: tuple[str, ...] = (),
        port_base: int = 0,
        setup_digest: Callable[[str], str] = lambda _: "",
        tags: Callable[[], Mapping[str, str]] = dict,
        redactor: Redactor | None = None,
    ) -> None:
        """Nothing is made before `prepare`.

        `set_up` returns what a tree needs besides its files, and may block; `setup_digest` returns
        its digest without making it. `port_base` is the first port that commands in the workspace
        may use, or 0. `tags` returns the refs of the person's tags, which its `.git` has too. No
        file with a secret that `redactor` knows becomes part of a tree.
        """
        self.folder = folder
        self.store = store
        self.tree = ""
        self.size_bytes = 0
        self.port_base = port_base
        self.setup_digest = setup_digest
        self._set_up = set_up
        self._tags = tags
        # One that knows nothing yet is false, and learns later.
        self._redactor = Redactor() if redactor is None else redactor
        self._index = folder.with_name(folder.name + ".index")
        self._state_file = folder.with_name(folder.name + ".seen")
        self._linker = Linker(folder, included)
        self._sparse = Sparse(folder.with_name(folder.name + ".git"), store.folder, sparse)
        self._seen: Scan | None = None
        self._git_made_for: tuple[str, ...] = ()
        self._git_scan = EMPTY_SCAN
        self._ignored: tuple[IgnoredFile, ...] = ()
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
        setup_tree: str = "",
        reads: tuple[str, ...] | None = None,
    ) -> None:
        """Make the folder exactly this tree, whatever was left in it, with a `.git` at `commit`.

        Then add the products of set-up (those of `setup_tree`, if `tree` is only a part of it) and
        the files of `.worktreeinclude` that match `reads`. Raises what `set_up` raises.
        """
        if self.folder.is_symlink() or not self.folder.is_dir():
            remove(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(self.folder.stat().st_mode | 0o700)
        if not (with_git and self._has_git(commit, tree)):
            self._drop_git()
        self._linker.reads = reads
        needed = self._set_up(setup_tree or tree) if self._set_up is not None else None
        if self._seen is None:
            self._load_state()
        now = scan(self.folder, without=self._linker.top_paths)
        if now.too_long:  # what cannot be visited is removed with all the rest
            self._seen, now = None, EMPTY_SCAN
        stale = self._seen is None or self.tree != tree or now != self._seen
        if stale or self._linker.is_stale(needed):
            self._drop_git()
            # Removed first: interrupted below, the folder no longer is what the file says.
            self._state_file.unlink(missing_ok=True)
            stale = self._linker.remove_unneeded(needed) or stale
            seen = self._restore(tree, now) if stale else now
            self._linker.link(needed, seen)
            if not folders_above(self._linker.top_paths) <= seen.folders.keys():
                seen = scan(self.folder, without=self._linker.top_paths)
            # Only now an agent may write: its changes get a later time than everything in `seen`.
            wait_for_clock_tick(self.folder.parent)
            self._save_state(tree, seen)
        if with_git and not self._git_made_for:
            self._make_git(commit)
            self._git_made_for, self._git_scan = (commit, tree), scan(self.folder, only=[".git"])
            wait_for_clock_tick(self.folder.parent)

    def _has_git(self, commit: str, tree: str) -> bool:
        """Return whether the `.git` of the last stage fits, and nobody touched anything in it."""
        return (
            self._git_made_for == (commit, tree)
            and scan(self.folder, only=[".git"]) == self._git_scan
        )

    def _drop_git(self) -> None:
        remove(self.folder / ".git")
        self._git_made_for = ()

    def _load_state(self) -> None:
        """Load what an earlier process recorded about the folder."""
        try:
            saved = msgspec.msgpack.decode(self._state_file.read_bytes(), type=_SavedState)
        except (OSError, msgspec.DecodeError):
            return
        if saved.sparse == self._sparse.folders and self._index.exists():
            self._linker.linked = saved.linked
            self._set_state(saved.tree, saved.seen)

    def _save_state(self, tree: str, seen: Scan) -> None:
        self._set_state(tree, seen)
        saved = _SavedState(
            tree=tree, sparse=self._sparse.folders, seen=seen, linked=self._linker.linked
        )
        if (data := try_encode(saved) or try_encode(self._state_without_names())) is not None:
            atomic.write_bytes(self._state_file, data, durable=False)

    def _state_without_names(self) -> _SavedState:
        """Return a state with the linked paths alone, if a file name in the folder is not text.

        The next process scans the folder again then.
        """
        linked = msgspec.structs.replace(self._linker.linked, files=EMPTY_SCAN)
        return _SavedState(tree="", sparse=self._sparse.folders, seen=EMPTY_SCAN, linked=linked)

    def _set_state(self, tree: str, seen: Scan) -> None:
        self.tree, self._seen = tree, seen
        self.size_bytes = seen.size_bytes + self._linker.linked.files.size_bytes

    def _restore(self, tree: str, now: Scan) -> Scan:
        """Remove everything that differs from the last tree, and have git write what is missing.

        Returns a scan of the result. Empty folders are removed, because a tree has none.
        """
        seen = self._seen
        # A git process that was killed leaves its lock behind, and the next one would fail on it.
        # Nobody else uses this index: the workspace is leased.
        self._index.with_name(self._index.name + ".lock").unlink(missing_ok=True)
        if seen is None:
            self._index.unlink(missing_ok=True)
            self._linker.reset()
            for child in self.folder.iterdir():
                remove(child)
        else:
            self._remove_differing(seen, now)
        self._sparse.write()
        self._git("read-tree", "--reset", "-u", tree)
        if top_paths := self._linker.top_paths:
            tracked = self._git("ls-files", "-z", "--", *(f":(literal){top}" for top in top_paths))
            if tracked and self._linker.remove_tracked(tracked.split("\0")):
                self._git("read-tree", "--reset", "-u", tree)
        restored = scan(self.folder, without=self._linker.top_paths)
        self._linker.remove_orphaned(restored)
        used = folders_above((*restored.files, *self._linker.top_paths))
        for path in sorted(restored.folders.keys() - used, reverse=True):
            (self.folder / path).rmdir()
            del restored.folders[path]
        return restored

    def _remove_differing(self, seen: Scan, now: Scan) -> None:
        """Remove everything that is not as it was in `seen`.

        Goes by the scan, which never follows links, so nothing outside the folder is touched.
        """
        for path, mode in now.folders.items():
            if mode != seen.folders.get(path):
                (self.folder / path).chmod(stat.S_IMODE(seen.folders.get(path, 0o755)) | 0o700)
        for path in (*now.files, *now.special_files, *now.nested_repositories):
            if path not in seen.files or now.files.get(path) != seen.files[path]:
                remove(self.folder / path)
        for path in sorted(now.folders, reverse=True):
            if path not in seen.folders:
                (self.folder / path).rmdir()

    def _tracked(self, *, checked_out: bool) -> set[str]:
        """List the paths of the index that are checked out, or are not; without submodules."""
        lines = self._git("ls-files", "-z", "--stage", "-t").split("\0")
        heads = (line.partition("\t") for line in lines if line)
        # The tag S stands for skip-worktree: in the index, but not checked out.
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
        if tags := self._tags():
            lines = (f"{target} {name}\n" for name, target in sorted(tags.items()))
            (git / "packed-refs").write_text("".join(lines))
        (git / "config").write_text(
            EMPTY_CONFIG + self._sparse.config + self.store.format_section()
        )
        hidden = "".join(
            f"/{_GITIGNORE_SPECIAL.sub(lambda match: chr(92) + match[1], top)}\n"
            for top in sorted(self._linker.top_paths)
        )
        (git / "info" / "exclude").write_text(IGNORED_LEFTOVERS + hidden)
        if self._sparse.folders:
            (git / "info" / "sparse-checkout").write_text(self._sparse.patterns)
        (git / "objects" / "info" / "alternates").write_text(f"{self.store.folder / 'objects'}\n")
        # With its times: see `TreeWriter.write`.
        shutil.copy2(self._index, git / "index")
        if (shallow := self.store.folder / "shallow").exists():
            shutil.copyfile(shallow, git / "shallow")

    def program_folders(self, inside: str = "") -> tuple[Path, ...]:
        """Return the folders whose own programs go in front of the PATH, the last first."""
        return (self.folder, self.folder / inside) if inside else (self.folder,)

    def resume(self, tree: str) -> None:
        """Go on with a folder that an earlier process prepared with `tree`.

        If there is no record of how the folder looked then, everything in it counts as touched.
        """
        self._load_state()
        if self._seen is None or self.tree != tree:
            self._seen = Scan(
                dict.fromkeys(self._tracked(checked_out=True), (0, 0, 0, 0, 0)), (), ()
            )
        self.tree = tree

    def harvest(
        self, writes: tuple[str, ...], since: str, products: AbstractSet[str] = frozenset()
    ) -> Harvest:
        """Write the folder as a tree, and check the changes since the tree `since`.

        `writes` are the globs of paths that the stage may change. New files outside them are
        dropped, and so are `products`: files that the tests leave behind.
        """
        tree, found = self.snapshot()
        tracked = self._seen.files if self._seen is not None else {}
        violations, dropped, lawful = [], set[str](), []
        for violation in found:
            outside = violation.path and not globs.matches_any(writes, violation.path)
            if outside and violation.kind in STRAY and violation.path not in tracked:
                dropped.add(violation.path)
            else:
                violations.append(violation)
        for change in self.store.diff(since, tree):
            broken = violation_of(change, writes, self.folder)
            if change.status == "A" and (
                change.path in products
                or (broken is not None and broken.kind is ViolationKind.OUTSIDE_ITS_PATHS)
            ):
                dropped.add(change.path)
            elif broken is not None:
                violations.append(broken)
            else:
                lawful.append(change)
        return Harvest(
            tree=self.store.graft_paths(since, tree, {change.path for change in lawful}),
            changes=tuple(lawful),
            violations=tuple(violations),
            as_left=tree,
            dropped=tuple(sorted(dropped)),
            ignored=tuple(one for one in self._ignored if globs.matches_any(writes, one.path)),
        )

    def snapshot(self) -> tuple[str, list[Violation]]:
        """Write the folder as a tree; return it and what cannot be part of one."""
        if self.folder.is_symlink() or not self.folder.is_dir():
            return self.tree, [Violation(kind=ViolationKind.WORKSPACE_REMOVED)]
        self.folder.chmod(self.folder.stat().st_mode | 0o700)
        now = scan(self.folder, without=self._linker.top_paths)
        before = self._seen or EMPTY_SCAN
        violations = [
            *(
                Violation(kind=ViolationKind.NESTED_REPOSITORY, path=path)
                for path in now.nested_repositories
            ),
            *(Violation(kind=ViolationKind.SPECIAL_FILE, path=path) for path in now.special_files),
            *(Violation(kind=ViolationKind.PATH_TOO_LONG, path=path) for path in now.too_long),
        ]
        touched = [
            path
            for path in changed_paths(before, now)
            if not _inside(path, now.nested_repositories)
        ]
        self._ignored = ()
        if not touched:
            return self.tree, violations
        hidden = self._tracked(checked_out=False) if self._sparse.folders else set()
        tree, left_out, self._ignored = self._writer().write(
            touched, now, tracked=before.files, hidden=hidden
        )
        return tree, [*violations, *left_out]

    def _writer(self) -> TreeWriter:
        return TreeWriter(self.folder, self.store, self._git, self._index, self._redactor)

    def remove_secrets(self) -> None:
        """Remove the files that were touched and hold a secret; once their stage is judged."""
        if not self._redactor or self.folder.is_symlink() or not self.folder.is_dir():
            return
        now = scan(self.folder, without=self._linker.top_paths)
        for path in changed_paths(self._seen or EMPTY_SCAN, now):
            if path in now.files and self._writer().secrets_of(path, now):
                remove(self.folder / path)
        if not self._git_made_for or scan(self.folder, only=[".git"]) != self._git_scan:
            self._drop_git()  # whatever an agent committed there by itself


def read_tags(git: Git) -> dict[str, str]:
    """Return the refs of a repository's tags: many projects read their version from them."""
    lines = git("for-each-ref", "--format=%(refname) %(objectname)", "refs/tags").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def _inside(path: str, repositories: tuple[str, ...]) -> bool:
    return any(path.startswith(repository.removesuffix(".git")) for repository in repositories)
