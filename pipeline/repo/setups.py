"""Set-ups: what a tree needs besides its files, made once for each state of its inputs.

That is dependencies and generated files. A set-up is made in a checkout of its own,
`setups/<digest>/tree`, and stays there, because virtual environments contain the path they were
made at. `done` beside it is written last, so an interrupted set-up is made again. Agents never
see the folder; they and the gates get copies of its products (`repo/links`).
"""

import os
import threading
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from functools import partial
from hashlib import blake2b
from pathlib import Path

import msgspec

from pipeline.errors import UsageProblem
from pipeline.files import atomic, locks
from pipeline.files.doing import SILENT, Doing
from pipeline.files.trees import remove
from pipeline.language import globs
from pipeline.language.target import WorkspaceNeeds
from pipeline.repo.clone import Cloner
from pipeline.repo.git import Git
from pipeline.repo.links import SetUp
from pipeline.repo.scan import EMPTY_SCAN, Scan, scan, try_encode
from pipeline.repo.store import PinnedBase, Store
from pipeline.repo.workspace import Workspace, read_tags

INPUT_NAMES = frozenset({
    "package.json", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml",
    "pnpm-workspace.yaml", "yarn.lock", ".npmrc", "uv.lock", "poetry.lock", "pdm.lock",
    "Pipfile.lock", "pyproject.toml", "setup.py", "setup.cfg", "go.mod", "go.sum", "Cargo.toml",
    "Cargo.lock",
})  # fmt: skip
"""Lock files and manifests: those of a tree, in any folder, decide what its set-up makes."""

_REQUIREMENTS = "requirements*.txt"
_CACHES = frozenset({
    "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".coverage",
    ".git",
})  # fmt: skip
_VERSION = b"1"
"""Changes when set-ups made by an earlier version can no longer be used."""

_SLACK_S = 60.0


def running_lock(folder: Path, digest: str) -> Path:
    """Return the lock that a running set-up command holds, whoever started it."""
    return folder / f"{digest}.running"


class SetupProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a set-up command failed, and the folder with all of its output."""

    reason: str
    logs: str = ""


SetupRunner = Callable[[str, Path, str], SetupProblem | None]
"""Runs a command in a folder; the third argument names its logs. Returns the problem, or None."""


class SetupFailed(UsageProblem):
    """A set-up command failed; `summary` is the message without the path of its logs."""

    def __init__(self, command: str, problem: SetupProblem) -> None:
        """Name the command, the reason, and its logs."""
        self.summary = f"the set-up command {command!r} failed: {problem.reason}"
        logs = f" (full output: {problem.logs})" if problem.logs else ""
        super().__init__(
            f"{self.summary}{logs}",
            "Make it work in a fresh clone, or change `workspace.setup` of the flow",
        )


class Setups:
    """The set-ups of one repository, as one run needs them. Safe to use from several threads."""

    def __init__(  # noqa: PLR0913 - one argument for each input of a set-up
        self,
        folder: Path,
        store: Store,
        needs: WorkspaceNeeds,
        user: tuple[Path, Git],
        tools: Mapping[str, str],
        run: SetupRunner,
        *,
        base: PinnedBase,
        make_room: Callable[[], None] = lambda: None,
        doing: Doing = SILENT,
    ) -> None:
        """`user` is the person's checkout with its git, for `workspace.link`.

        `tools` are the variables that decide which programs run. A set-up command sees the commit
        of `base` as HEAD. `make_room` is called before a new set-up is made.
        """
        self.folder = folder
        self.store = store
        self.needs = needs
        self._root, self._git = user
        self._tools = dict(tools)
        self._run = run
        self._mutex = threading.Lock()
        self._digests: dict[str, str] = {}
        self._made: dict[str, SetUp] = {}
        self._failed: dict[str, SetupFailed] = {}
        self._leases: list[locks.Lease] = []
        self._linked: tuple[str, Scan] | None = None
        self._base = base
        self._make_room = make_room
        self._doing = doing

    @property
    def is_wanted(self) -> bool:
        """Whether the flow asks for a set-up at all."""
        return bool(self.needs.setup or self.needs.link)

    def close(self) -> None:
        """End the leases: the set-ups of this run may be removed from now on."""
        for lease in self._leases:
            lease.close()

    def require(self, tree: str) -> SetUp | None:
        """Return the set-up of a tree, made now if necessary; None if the flow asks for none.

        Blocks for as long as the commands take. Raises `SetupFailed`, and `UsageProblem` for a path
        that cannot be linked.
        """
        if not self.is_wanted:
            return None
        with self._mutex:
            digest = self.digest(tree)
            if digest in self._failed:
                raise self._failed[digest]
            if digest not in self._made:
                self._made[digest] = self._find_or_make(digest, tree)
            return self._made[digest]

    def require_or_base(self, tree: str) -> SetUp | None:
        """Return the set-up of a tree, or the base's if that fails, so that an agent can fix it."""
        try:
            return self.require(tree)
        except SetupFailed:
            return self.require(self._base.tree)

    def digest(self, tree: str) -> str:
        """Return a digest of all inputs of a tree's set-up; empty if the flow asks for none."""
        if self.is_wanted and tree not in self._digests:
            linked = self._scan_links()[0]
            parts = [
                *self.needs.setup,
                "",
                *(f"{name}={value}" for name, value in sorted(self._tools.items())),
                linked,
            ]
            parts += [*self.needs.sparse, "", *(self._inputs(tree) if self.needs.setup else ())]
            text = "\0".join(parts).encode("utf-8", "surrogateescape")
            self._digests[tree] = blake2b(text, digest_size=12, salt=_VERSION).hexdigest()
        return self._digests.get(tree, "")

    def _inputs(self, tree: str) -> list[str]:
        """List the blobs that set-up depends on, with their paths."""
        inputs = []
        for line in self.store.git("ls-tree", "-r", "-z", tree).split("\0"):
            path = line.partition("\t")[2]
            name = path.rpartition("/")[2]
            if (
                name in INPUT_NAMES
                or fnmatch(name, _REQUIREMENTS)
                or globs.matches_any(self.needs.inputs, path)
            ):
                inputs.append(line)
        return inputs

    def _scan_links(self) -> tuple[str, Scan]:
        """Scan the paths of `workspace.link`; return their digest and the scan.

        Raises `UsageProblem` for a path that cannot be linked.
        """
        if self._linked is None:
            for path in self._links():
                _require_linkable(self._root, self._git, path)
            links = scan(self._root, only=self._links())
            lines = [
                f"{path}\0{seen[0]}\0{seen[1]}\0{seen[2]}"
                for path, seen in sorted(links.files.items())
            ]
            text = "\n".join([os.fspath(self._root), *lines] if lines else []).encode(
                "utf-8", "surrogateescape"
            )
            self._linked = (blake2b(text, digest_size=8).hexdigest(), links)
        return self._linked

    def _links(self) -> tuple[str, ...]:
        return tuple(path.strip("/") for path in self.needs.link)

    def _find_or_make(self, digest: str, tree: str) -> SetUp:
        """Use the set-up that exists, or make it: one process at a time, the others wait."""
        timeout_s = self.needs.timeout_s * max(1, len(self.needs.setup)) + _SLACK_S
        lock = self.folder / f"{digest}.lock"
        with locks.hold([lock], run_id="", agent="engine", stage="set-up", timeout_s=timeout_s):
            if (used := locks.lease(self.folder / f"{digest}.used", shared=True)) is not None:
                self._leases.append(used)
            (self.folder / f"{digest}.used").touch()
            return self._load(digest) or self._make(digest, tree)

    def _load(self, digest: str) -> SetUp | None:
        """Return a set-up made earlier, if it is complete and nobody has written into it since."""
        try:
            made = msgspec.msgpack.decode((self.folder / digest / "done").read_bytes(), type=SetUp)
        except (OSError, msgspec.DecodeError):
            return None
        made = msgspec.structs.replace(
            made, root=str(self.folder / digest / "tree"), clone=self.needs.clone
        )
        return made if scan(Path(made.root), only=made.products) == made.files else None

    def _make(self, digest: str, tree: str) -> SetUp:
        folder = self.folder / digest
        with locks.hold(
            [running_lock(self.folder, digest)],
            run_id="",
            agent="engine",
            stage="set-up",
            timeout_s=_SLACK_S,
        ):
            # A set-up command that outlived a killed pipeline holds the lock until it has ended;
            # only then is nobody writing into the folder.
            remove(folder)
        self._make_room()
        root = folder / "tree"
        tags = partial(read_tags, self._git)
        checkout = Workspace(root, self.store, sparse=self.needs.sparse, tags=tags)
        checkout.prepare(self._base.commit, tree)
        before = scan(root)
        if links := self._links():
            cloner = Cloner(self._root, root, self.needs.clone)
            cloner.sync(links, self._scan_links()[1], EMPTY_SCAN)
        for command in self.needs.setup:
            self._doing.step(f"set-up: {command}")
            if (problem := self._run(command, root, digest)) is not None:
                remove(folder)
                self._failed[digest] = SetupFailed(command, problem)
                raise self._failed[digest]
        self._doing.step("")
        products = tuple(sorted(_products(root, before)))
        made = SetUp(
            digest=digest,
            root=str(root),
            products=products,
            files=scan(root, only=products),
            clone=self.needs.clone,
        )
        atomic.write_text(folder / "size", str(scan(root).size_bytes), durable=False)
        if (data := try_encode(made)) is not None:
            atomic.write_bytes(folder / "done", data)
        return made


def _products(root: Path, before: Scan) -> list[str]:
    """List the topmost paths that set-up has added to a tree; no caches, no links followed."""
    products: list[str] = []
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(root / folder) as entries:
            for entry in entries:
                path = folder + entry.name
                if entry.name in _CACHES or entry.name.endswith(".pyc"):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if path in before.folders:
                        waiting.append(path + "/")
                    else:
                        products.append(path)
                elif path not in before.files and (
                    entry.is_symlink() or entry.is_file(follow_symlinks=False)
                ):
                    products.append(path)
    return products


def _require_linkable(root: Path, git: Git, path: str) -> None:
    """Raise `UsageProblem` unless a path of the checkout exists, is ignored and is no link."""
    where = root / path
    if where.is_symlink() or not where.exists():
        what = "is a symbolic link" if where.is_symlink() else "does not exist"
        raise UsageProblem(
            f"workspace.link: {where} {what}",
            f"Create {path} in your checkout, or remove it from the flow",
        )
    if git("ls-files", "-z", "--", f":(literal){path}") or not git(
        "check-ignore", "--", path, ok=(0, 1)
    ):
        raise UsageProblem(
            f"workspace.link: {path} is not ignored by git",
            "Ignore it in .gitignore, or remove it from the flow: tracked files are there anyway",
        )
