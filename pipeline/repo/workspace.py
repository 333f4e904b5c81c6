"""A workspace: a folder an agent works in, checked out from the store, and never trusted.

Its `.git` is made by hand before every stage and thrown away after it: agents see a correct log and
status, have no remote, and what they plant there dies. We never run git with it: our own index
lies beside the folder, and our git directory is the store.
"""

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pipeline.language import globs
from pipeline.repo import filters
from pipeline.repo.filters import Filtered
from pipeline.repo.git import Git, GitError
from pipeline.repo.scan import Scan, differing, scan
from pipeline.repo.store import LITTER, Store, TreeChange

PROTECTED = (
    ".gitmodules", "**/.gitattributes", ".github/**", ".gitlab-ci.yml", ".husky/**", ".pre-commit-config.yaml",
    ".claude/**", ".mcp.json", ".codex/**", ".cursor/**", ".vscode/**", ".idea/**", "**/.envrc",
    "agents/flow.yaml", "agent_prompts/**", ".triggers/**", ".locks/**", "docs/status/**", "docs/plans/runs/**",
)  # fmt: skip
"""Paths that no stage may write, whatever its globs say: they run code or steer us."""

_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n[gc]\n\tauto = 0\n"


class Harvest(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage did to its workspace, as a tree, and what of it was not allowed."""

    tree: str
    changes: tuple[TreeChange, ...]
    violations: tuple[str, ...]


class Workspace:
    """One checkout, used by one stage at a time."""

    def __init__(self, folder: Path, store: Store) -> None:
        """Nothing is made before `prepare`."""
        self.folder = folder
        self.store = store
        self.tree = ""
        self._index = folder.with_name(folder.name + ".index")
        self._seen: Scan | None = None
        env = {
            "GIT_DIR": str(store.folder),
            "GIT_WORK_TREE": str(folder),
            "GIT_INDEX_FILE": str(self._index),
        }
        self._git = Git(store.folder, env=env)

    def prepare(self, commit: str, tree: str, *, with_git: bool = True) -> None:
        """Bring the folder to exactly this tree, whatever was left in it, with a fresh `.git` at `commit`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        now = scan(self.folder)
        if self._seen is None or self.tree != tree or now != self._seen:
            self._restore(tree, now)
        if with_git:
            self._make_git(commit)

    def _restore(self, tree: str, now: Scan) -> None:
        if self._seen is None:
            self._index.unlink(missing_ok=True)
            _empty(self.folder)
        else:
            known = self._tracked()
            for path in (*now.files, *now.special):
                if path not in known:
                    _remove(self.folder / path)
            for path in now.nested:
                _remove(self.folder / path)
        self._git("read-tree", "--reset", "-u", tree)
        self.tree, self._seen = tree, scan(self.folder)

    def _tracked(self) -> set[str]:
        return set(self._git("ls-files", "-z", "--cached").split("\0")) - {""}

    def _make_git(self, commit: str) -> None:
        git = self.folder / ".git"
        _remove(git)
        (git / "objects" / "info").mkdir(parents=True)
        (git / "refs").mkdir()
        (git / "info").mkdir()
        (git / "HEAD").write_text(f"{commit}\n")
        (git / "config").write_text(_CONFIG + self.store.format_section())
        (git / "info" / "exclude").write_text(LITTER)
        (git / "objects" / "info" / "alternates").write_text(f"{self.store.folder / 'objects'}\n")
        shutil.copyfile(self._index, git / "index")
        if (shallow := self.store.folder / "shallow").exists():
            shutil.copyfile(shallow, git / "shallow")

    def take_up(self, tree: str) -> None:
        """Go on with a folder that an earlier process prepared with `tree`: everything in it counts as touched."""
        self.tree = tree
        self._seen = Scan(dict.fromkeys(self._tracked(), (0, 0, 0, 0, 0)), (), ())

    def harvest(self, writes: tuple[str, ...], since: str) -> Harvest:
        """Turn what lies in the folder now into a tree; hold the change since the tree `since` against `writes`."""
        tree, violations = self.read()
        changes = tuple(self.store.diff(since, tree))
        for change in changes:
            if found := _violation(change, writes, self.folder):
                violations.append(found)
        return Harvest(tree=tree, changes=changes, violations=tuple(violations))

    def read(self) -> tuple[str, list[str]]:
        """Turn what lies in the folder now into a tree; return it with what could not be taken into any."""
        now = scan(self.folder)
        before = self._seen or Scan({}, (), ())
        violations = [f"{path}: a git repository inside the workspace" for path in now.nested]
        violations += [f"{path}: neither a file nor a folder nor a link" for path in now.special]
        touched = differing(before, now)
        touched = [path for path in touched if not _inside(path, now.nested)]
        return (self._write_tree(touched, now, violations) if touched else self.tree), violations

    def _write_tree(self, touched: list[str], now: Scan, violations: list[str]) -> str:
        """Make a tree of what was touched; what may not be in any tree is left out, and told."""
        with self.store.private_index() as env:
            shutil.copyfile(self._index, env["GIT_INDEX_FILE"])
            tracked = self._tracked()
            ignored = self._ignored([path for path in touched if path not in tracked])
            taken = [path for path in touched if path not in ignored]
            violations += [f"{path!a}: a name that is not plain text" for path in taken if _is_odd(path, tracked)]
            taken = [path for path in taken if not _is_odd(path, tracked)]
            filtered = self._filtered([path for path in taken if path in now.files], tracked)
            huge = {path for path in taken if path not in filtered and self._is_huge(path, now)}
            violations += [f"{path}: {self._too_big(path, now)}" for path in sorted(huge)]
            plain = [path for path in taken if path not in filtered and path not in huge]
            if plain:
                stdin = "\0".join(plain).encode("utf-8", "surrogateescape")
                self._git("update-index", "-z", "--add", "--remove", "--replace", "--stdin", stdin=stdin, env=env)
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

    def _filtered(self, paths: list[str], tracked: set[str]) -> dict[str, Filtered]:
        """Find the files whose content goes through a filter, by the attributes that the stage was given."""
        if not paths or not any(path.endswith(".gitattributes") for path in tracked):
            return {}
        found = filters.filtered(self._git, {"GIT_INDEX_FILE": str(self._index)}, paths)
        return {path: how for path, how in found.items() if not (self.folder / path).is_symlink()}

    def _clean(self, path: str, how: Filtered, now: Scan, env: Mapping[str, str], violations: list[str]) -> None:
        """Put one filtered file into the index as its filter stores it; one that was not changed stays as it is."""
        if self._is_as_it_was(path, now):
            return
        try:
            data = (self.folder / path).read_bytes()
            config = _CONFIG + self.store.format_section()
            blob = filters.clean(self.store.folder, config, self.store.filters(), path, data, how)
        except GitError as exc:
            violations.append(f"{path}: its filter {how.filter} cannot store it: {exc.stderr.strip()[-200:]}")
            return
        stdin = f"{_mode(path, now)} {blob}\t{path}\0".encode("utf-8", "surrogateescape")
        self._git("update-index", "-z", "--add", "--replace", "--index-info", stdin=stdin, env=env)

    def _ignored(self, paths: list[str]) -> set[str]:
        if not paths:
            return set()
        stdin = "\0".join(paths).encode("utf-8", "surrogateescape")
        found = self._git("check-ignore", "-z", "--no-index", "--stdin", stdin=stdin, ok=(0, 1))
        return set(found.split("\0"))


def _violation(change: TreeChange, writes: tuple[str, ...], folder: Path) -> str | None:
    path = change.path
    if not _is_plain(path):
        return f"{path!a}: a name that is not plain text"
    if globs.matches_any(PROTECTED, path):
        return f"{path}: protected, no stage may write it"
    if not globs.matches_any(writes, path):
        return f"{path}: outside the paths of this stage ({', '.join(writes) or 'it may write none'})"
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


def _is_odd(path: str, tracked: set[str]) -> bool:
    """Tell whether a new name is one that we do not take; what the repository has already may stay."""
    return path not in tracked and not _is_plain(path)


def _is_plain(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return path.isprintable()


def _inside(path: str, repositories: tuple[str, ...]) -> bool:
    return any(path.startswith(repository.removesuffix(".git")) for repository in repositories)


def _empty(folder: Path) -> None:
    for child in folder.iterdir():
        _remove(child)


def _remove(path: Path) -> None:
    """Remove whatever is at a path, and the folders that are empty then are left for git."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        shutil.rmtree(path, onerror=_unlock)
    else:
        path.unlink()


def _unlock(function: object, path: str, _info: object) -> None:
    """Make a folder writable that an agent left read-only, and try once more."""
    os.chmod(os.path.dirname(path), 0o700)  # noqa: PTH101, PTH120 - rmtree gives text
    if callable(function):
        function(path)
