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
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import msgspec

from pipeline.core.excerpt import excerpt
from pipeline.files import atomic
from pipeline.files.trees import remove
from pipeline.language import globs
from pipeline.repo import filters
from pipeline.repo.filters import Filtered
from pipeline.repo.git import Git, GitError
from pipeline.repo.lend import Included, Lender, Lent, SetUp, parents
from pipeline.repo.scan import Scan, differing, packed, scan, settle
from pipeline.repo.sparse import Sparse
from pipeline.repo.store import LITTER, Store, TreeChange

PROTECTED = (
    ".gitmodules", "**/.gitattributes", ".github/**", ".gitlab-ci.yml", ".husky/**", ".pre-commit-config.yaml",
    ".claude/**", ".mcp.json", ".codex/**", ".cursor/**", ".vscode/**", ".idea/**", "**/.envrc",
    "agents/flow.yaml", "agent_prompts/**", ".triggers/**", ".locks/**", "docs/status/**", "docs/plans/runs/**",
)  # fmt: skip
"""Paths that no stage may write, whatever its globs say: they run code or steer us."""

_CONFIG = "[gc]\n\tauto = 0\n[core]\n\trepositoryformatversion = 0\n\tbare = false\n"
_SPECIAL = re.compile(r"([\\*?\[!# ])")


class Harvest(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage did to its workspace, as a tree, and what of it was not allowed."""

    tree: str
    changes: tuple[TreeChange, ...]
    violations: tuple[str, ...]


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the folder, as it was when nobody worked in it."""

    tree: str
    sparse: tuple[str, ...]
    seen: Scan
    lent: Lent


class Workspace:
    """One checkout, used by one stage at a time."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        *,
        set_up: Callable[[str], SetUp | None] | None = None,
        included: Included | None = None,
        sparse: tuple[str, ...] = (),
    ) -> None:
        """Nothing is made before `prepare`.

        `set_up` gives what a tree needs besides its files, and may block.
        """
        self.folder = folder
        self.store = store
        self.tree = ""
        self.size_bytes = 0
        self.port_base = 0
        self.set_up_of: Callable[[str], str] = lambda _: ""
        self._set_up = set_up
        self._index = folder.with_name(folder.name + ".index")
        self._kept = folder.with_name(folder.name + ".seen")
        self._lender = Lender(folder, included)
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
        self._lender.reads = reads
        needed = self._set_up(whole or tree) if self._set_up is not None else None
        if self._seen is None:
            self._recall()
        try:
            now = scan(self.folder, without=self._lender.tops)
        except OSError:  # a path longer than the system takes: nothing of it can be looked at
            self._seen, now = None, Scan({}, (), ())
        stale = self._seen is None or self.tree != tree or now != self._seen
        if stale or self._lender.is_stale(needed):
            self._drop_git()
            self._kept.unlink(missing_ok=True)
            stale = self._lender.drop(needed) or stale
            seen = self._restore(tree, now) if stale else now
            self._lender.lend(needed, seen)
            if not parents(self._lender.tops) <= seen.folders.keys():
                seen = scan(self.folder, without=self._lender.tops)
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
            self._lender.lent = kept.lent
            self._take(kept.tree, kept.seen)

    def _remember(self, tree: str, seen: Scan) -> None:
        self._take(tree, seen)
        kept = _Kept(tree=tree, sparse=self._sparse.folders, seen=seen, lent=self._lender.lent)
        if (data := packed(kept) or packed(self._bare())) is not None:
            atomic.write_bytes(self._kept, data, durable=False)

    def _bare(self) -> _Kept:
        """Say only what is lent, where a name in the folder is no text.

        What it looked like is found out anew then.
        """
        lent = msgspec.structs.replace(self._lender.lent, files=Scan({}, (), ()))
        return _Kept(tree="", sparse=self._sparse.folders, seen=Scan({}, (), ()), lent=lent)

    def _take(self, tree: str, seen: Scan) -> None:
        self.tree, self._seen = tree, seen
        self.size_bytes = seen.size_bytes + self._lender.lent.files.size_bytes

    def _restore(self, tree: str, now: Scan) -> Scan:
        """Take away everything that the last tree did not have like this, and let git write what is missing.

        Returns what is there then. A tree has no empty folders.
        """
        seen = self._seen
        self._index.with_name(self._index.name + ".lock").unlink(missing_ok=True)
        if seen is None:
            self._index.unlink(missing_ok=True)
            self._lender.forget()
            for child in self.folder.iterdir():
                remove(child)
        else:
            self._clear(seen, now)
        self._sparse.write()
        self._git("read-tree", "--reset", "-u", tree)
        if tops := self._lender.tops:
            tracked = self._git("ls-files", "-z", "--", *(f":(literal){top}" for top in tops))
            if tracked and self._lender.give_back(tracked.split("\0")):
                self._git("read-tree", "--reset", "-u", tree)
        found = scan(self.folder, without=self._lender.tops)
        self._lender.refit(found)
        for path in sorted(
            found.folders.keys() - parents((*found.files, *self._lender.tops)), reverse=True
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
        (git / "config").write_text(_CONFIG + self._sparse.config + self.store.format_section())
        hidden = "".join(
            f"/{_SPECIAL.sub(lambda found: chr(92) + found[1], top)}\n"
            for top in sorted(self._lender.tops)
        )
        (git / "info" / "exclude").write_text(LITTER + hidden)
        if self._sparse.folders:
            (git / "info" / "sparse-checkout").write_text(self._sparse.patterns)
        (git / "objects" / "info" / "alternates").write_text(f"{self.store.folder / 'objects'}\n")
        shutil.copy2(self._index, git / "index")
        if (shallow := self.store.folder / "shallow").exists():
            shutil.copyfile(shallow, git / "shallow")

    def tools(self, env: Mapping[str, str], inside: str = "") -> dict[str, str]:
        """Put the workspace's own programs, those of a folder in it first, in front of the PATH.

        Name its ports.
        """
        found = tools_in(self.folder, env)
        found = tools_in(self.folder / inside, found) if inside else found
        return {**found, "PIPELINE_PORT_BASE": str(self.port_base)} if self.port_base else found

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
            if found := _violation(change, writes, self.folder):
                violations.append(found)
        return Harvest(tree=tree, changes=changes, violations=tuple(violations))

    def read(self) -> tuple[str, list[str]]:
        """Turn what lies in the folder now into a tree.

        Return it with what could not be taken into any.
        """
        if self.folder.is_symlink() or not self.folder.is_dir():
            return self.tree, ["the workspace itself was taken away"]
        self.folder.chmod(self.folder.stat().st_mode | 0o700)
        now = scan(self.folder, without=self._lender.tops)
        before = self._seen or Scan({}, (), ())
        violations = [f"{path}: a git repository inside the workspace" for path in now.nested]
        violations += [f"{path}: neither a file nor a folder nor a link" for path in now.special]
        touched = differing(before, now)
        touched = [path for path in touched if not _inside(path, now.nested)]
        return (self._write_tree(touched, now, violations) if touched else self.tree), violations

    def _write_tree(self, touched: list[str], now: Scan, violations: list[str]) -> str:
        """Make a tree of what was touched; what may not be in any tree is left out, and told."""
        with self.store.private_index() as env:
            shutil.copy2(
                self._index, env["GIT_INDEX_FILE"]
            )  # with its time: git holds younger files for unsure
            tracked = (self._seen or Scan({}, (), ())).files
            hidden = self._tracked(checked_out=False) if self._sparse.folders else set()
            ignored = self._ignored(
                [path for path in touched if path not in tracked and path not in hidden]
            )
            taken = [path for path in touched if path not in ignored]
            violations += [
                f"{path!a}: a name that is not plain text"
                for path in taken
                if _is_odd(path, tracked)
            ]
            taken = [path for path in taken if not _is_odd(path, tracked)]
            filtered = self._filtered([path for path in taken if path in now.files], tracked)
            huge = {path for path in taken if path not in filtered and self._is_huge(path, now)}
            violations += [f"{path}: {self._too_big(path, now)}" for path in sorted(huge)]
            plain = [path for path in taken if path not in filtered and path not in huge]
            if plain:
                if again := hidden.intersection(plain):
                    self._git(
                        "update-index",
                        "-z",
                        "--no-skip-worktree",
                        "--stdin",
                        stdin=_lines(again),
                        env=env,
                    )
                gone = [
                    path for path in plain if path not in now.files
                ]  # forced: it may lie behind a link now
                there = [path for path in plain if path in now.files]
                if gone:
                    self._git(
                        "update-index",
                        "-z",
                        "--force-remove",
                        "--stdin",
                        stdin=_lines(gone),
                        env=env,
                    )
                if there:
                    self._git(
                        "update-index",
                        "-z",
                        "--add",
                        "--replace",
                        "--stdin",
                        stdin=_lines(there),
                        env=env,
                    )
            for path, how in filtered.items():
                self._clean(path, how, now, env, violations)
            return self._git("write-tree", env=env)

    def _is_huge(self, path: str, now: Scan) -> bool:
        too_big = path in now.files and now.files[path][1] > self.store.file_max_bytes
        return too_big and not self._is_as_it_was(path, now)

    def _is_as_it_was(self, path: str, now: Scan) -> bool:
        """Tell whether a file has the very bytes and mode that the stage was given."""
        raw = self._git("hash-object", "--no-filters", "--", str(self.folder / path))
        entry = self._git("ls-files", "-s", "-z", "--", f":(top,literal){path}")
        return entry.split("\t")[0].split(" ")[:2] == [_mode(path, now), raw]

    def _too_big(self, path: str, now: Scan) -> str:
        size, limit = now.files[path][1] / 1e6, self.store.file_max_bytes / 1e6
        return f"{size:.1f} MB, and a file may have {limit:g} MB (AGENT_MAX_FILE_MB; or keep such files in Git LFS)"

    def _filtered(self, paths: list[str], tracked: Collection[str]) -> dict[str, Filtered]:
        """Find the files whose content goes through a filter, by the attributes that the stage was given."""
        if not paths or not any(path.endswith(".gitattributes") for path in tracked):
            return {}
        found = filters.filtered(self._git, {"GIT_INDEX_FILE": str(self._index)}, paths)
        return {path: how for path, how in found.items() if not (self.folder / path).is_symlink()}

    def _clean(
        self, path: str, how: Filtered, now: Scan, env: Mapping[str, str], violations: list[str]
    ) -> None:
        """Put one filtered file into the index as its filter stores it.

        One that was not changed stays as it is.
        """
        if self._is_as_it_was(path, now):
            return
        try:
            data = (self.folder / path).read_bytes()
            config = _CONFIG + self.store.format_section()
            blob = filters.clean(self.store.folder, config, self.store.filters(), path, data, how)
        except GitError as exc:
            violations.append(
                f"{path}: its filter {how.filter} cannot store it: {excerpt(exc.stderr)}"
            )
            return
        stdin = f"{_mode(path, now)} {blob}\t{path}\0".encode("utf-8", "surrogateescape")
        self._git("update-index", "-z", "--add", "--replace", "--index-info", stdin=stdin, env=env)

    def _ignored(self, paths: list[str]) -> set[str]:
        if not paths:
            return set()
        stdin = "\0".join(paths).encode("utf-8", "surrogateescape")
        found = self._git("check-ignore", "-z", "--no-index", "--stdin", stdin=stdin, ok=(0, 1))
        return set(found.split("\0"))


def _lines(paths: Iterable[str]) -> bytes:
    """Write paths as git reads them with `-z`."""
    return "\0".join(paths).encode("utf-8", "surrogateescape")


def tools_in(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Put the programs that set-up has brought into a folder in front of an environment's PATH."""
    found = dict(env)
    paths = [
        str(path) for name in ("node_modules/.bin", ".venv/bin") if (path := folder / name).is_dir()
    ]
    if (folder / ".venv" / "pyvenv.cfg").is_file():
        found["VIRTUAL_ENV"] = str(folder / ".venv")
    if paths:
        found["PATH"] = os.pathsep.join([*reversed(paths), env.get("PATH", os.defpath)])
    return found


def _violation(change: TreeChange, writes: tuple[str, ...], folder: Path) -> str | None:
    path = change.path
    if not _is_plain(path):
        return f"{path!a}: a name that is not plain text"
    if globs.matches_any(PROTECTED, path):
        return f"{path}: protected, no stage may write it"
    if not globs.matches_any(writes, path):
        return (
            f"{path}: outside the paths of this stage ({', '.join(writes) or 'it may write none'})"
        )
    if "160000" in {change.mode, change.old_mode}:
        return f"{path}: a submodule"
    if change.mode == "120000" and _escapes(folder, path):
        return f"{path}: a link out of the workspace"
    return None


def _escapes(folder: Path, path: str) -> bool:
    target = (folder / path).readlink()
    landing = Path(os.path.normpath(Path(path).parent / target))
    return target.is_absolute() or landing.parts[:1] == ("..",)


def _mode(path: str, now: Scan) -> str:
    return "100755" if now.files[path][0] & stat.S_IXUSR else "100644"


def _is_odd(path: str, tracked: Collection[str]) -> bool:
    """Tell whether a new name is one that we do not take.

    What the repository has already may stay.
    """
    return path not in tracked and not _is_plain(path)


def _is_plain(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return path.isprintable()


def _inside(path: str, repositories: tuple[str, ...]) -> bool:
    return any(path.startswith(repository.removesuffix(".git")) for repository in repositories)
