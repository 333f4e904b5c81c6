"""Set-ups.

What a tree needs besides its files (dependencies, generated files), made once for each state of its
inputs.

A set-up is made in a checkout of its own, `setups/<digest>/tree`, where it also stays: virtual
environments know the path they were made at. `done` beside it is written last, so one that was
killed is made again. Agents never see the folder; they and the gates get copies of its products
(`repo/links`).
"""

import os
import threading
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from hashlib import blake2b
from pathlib import Path

import msgspec

from pipeline.errors import UsageProblem
from pipeline.files import atomic, locks
from pipeline.files.trees import remove
from pipeline.language import globs
from pipeline.language.target import WorkspaceNeeds as Wants
from pipeline.repo.clone import Cloner
from pipeline.repo.git import Git
from pipeline.repo.links import SetUp
from pipeline.repo.scan import Scan, packed, scan
from pipeline.repo.store import PinnedBase, Store
from pipeline.repo.workspace import Workspace

KNOWN = frozenset({
    "package.json", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "pnpm-workspace.yaml", "yarn.lock",
    ".npmrc", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pyproject.toml", "setup.py", "setup.cfg",
    "go.mod", "go.sum", "Cargo.toml", "Cargo.lock",
})  # fmt: skip
"""Lock files and manifests.

Whatever of these a tree holds, in any folder, decides what its set-up makes.
"""

_REQUIREMENTS = "requirements*.txt"
_CACHES = frozenset(
    {
        "__pycache__",
        ".pytest_cache",
        ".mypy_cache",
        ".ruff_cache",
        ".hypothesis",
        ".coverage",
        ".git",
    }
)
_VERSION = b"1"
_SLACK_S = 60.0
_NOTHING = Scan({}, (), ())


def running(folder: Path, digest: str) -> Path:
    """Name the lock that a set-up's command holds, whoever started it."""
    return folder / f"{digest}.running"


class SetupProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a set-up command did not succeed, and the folder that holds all of its output."""

    reason: str
    logs: str = ""


SetupRunner = Callable[[str, Path, str], SetupProblem | None]
"""Runs one command in a folder, under a name for its logs; returns what went wrong, or None."""


class SetupFailed(UsageProblem):
    """A set-up command did not succeed; `summary` says so without naming its logs."""

    def __init__(self, command: str, problem: SetupProblem) -> None:
        """Say which command, and why."""
        self.summary = f"the set-up command {command!r} failed: {problem.reason}"
        logs = f" (all of it: {problem.logs})" if problem.logs else ""
        super().__init__(
            f"{self.summary}{logs}",
            "Make it work in a fresh clone, or change `workspace.setup` of the flow",
        )


class Setups:
    """The set-ups of one repository, as one run wants them. Safe to use from several threads."""

    def __init__(  # noqa: PLR0913 - one argument for each thing that a set-up depends on
        self,
        folder: Path,
        store: Store,
        wants: Wants,
        user: tuple[Path, Git],
        tools: Mapping[str, str],
        run: SetupRunner,
        *,
        base: PinnedBase,
        make_room: Callable[[], None] = lambda: None,
    ) -> None:
        """`user` is the person's checkout with its git, for `link`.

        `tools` are the variables that name programs. The commit of `base` is what a set-up command sees
        as HEAD. `make_room` is called before a new set-up is made.
        """
        self.folder = folder
        self.store = store
        self.wants = wants
        self._root, self._git = user
        self._tools = dict(tools)
        self._run = run
        self._turn = threading.Lock()
        self._digests: dict[str, str] = {}
        self._made: dict[str, SetUp] = {}
        self._failed: dict[str, SetupFailed] = {}
        self._leases: list[locks.Lease] = []
        self._linked: tuple[str, Scan] | None = None
        self._base = base
        self._make_room = make_room

    @property
    def is_wanted(self) -> bool:
        """Tell whether the flow asks for anything."""
        return bool(self.wants.setup or self.wants.link)

    def close(self) -> None:
        """Let others remove what this run has used."""
        for lease in self._leases:
            lease.close()

    def of(self, tree: str) -> SetUp | None:
        """Return the set-up of a tree, making it if need be; None when the flow asks for none.

        Blocks for as long as the commands take. Raises `SetupFailed`, and `UsageProblem` for what
        cannot be linked.
        """
        if not self.is_wanted:
            return None
        with self._turn:
            digest = self.digest(tree)
            if digest in self._failed:
                raise self._failed[digest]
            if digest not in self._made:
                self._made[digest] = self._have(digest, tree)
            return self._made[digest]

    def near(self, tree: str) -> SetUp | None:
        """Return the set-up of a tree, or the base's when it cannot be made, so that an agent can fix it."""
        try:
            return self.of(tree)
        except SetupFailed:
            return self.of(self._base.tree)

    def digest(self, tree: str) -> str:
        """Digest everything that decides what the set-up of a tree makes.

        An empty text when none is wanted.
        """
        if self.is_wanted and tree not in self._digests:
            linked = self._look_at_links()[0]
            parts = [
                *self.wants.setup,
                "",
                *(f"{name}={value}" for name, value in sorted(self._tools.items())),
                linked,
            ]
            parts += [*self.wants.sparse, "", *(self._inputs(tree) if self.wants.setup else ())]
            text = "\0".join(parts).encode("utf-8", "surrogateescape")
            self._digests[tree] = blake2b(text, digest_size=12, salt=_VERSION).hexdigest()
        return self._digests.get(tree, "")

    def _inputs(self, tree: str) -> list[str]:
        """List the blobs that set-up depends on, with their paths."""
        found = []
        for line in self.store.git("ls-tree", "-r", "-z", tree).split("\0"):
            path = line.partition("\t")[2]
            name = path.rpartition("/")[2]
            if (
                name in KNOWN
                or fnmatch(name, _REQUIREMENTS)
                or globs.matches_any(self.wants.inputs, path)
            ):
                found.append(line)
        return found

    def _look_at_links(self) -> tuple[str, Scan]:
        """Walk what is to be linked; return its digest and scan.

        Raises `UsageProblem` for what cannot be.
        """
        if self._linked is None:
            for path in self._links():
                _require_linkable(self._root, self._git, path)
            found = scan(self._root, only=self._links())
            lines = [
                f"{path}\0{seen[0]}\0{seen[1]}\0{seen[2]}"
                for path, seen in sorted(found.files.items())
            ]
            text = "\n".join([os.fspath(self._root), *lines] if lines else []).encode(
                "utf-8", "surrogateescape"
            )
            self._linked = (blake2b(text, digest_size=8).hexdigest(), found)
        return self._linked

    def _links(self) -> tuple[str, ...]:
        return tuple(path.strip("/") for path in self.wants.link)

    def _have(self, digest: str, tree: str) -> SetUp:
        """Take the set-up that is there, or make it.

        One process at a time, the others wait for it.
        """
        patience_s = self.wants.timeout_s * max(1, len(self.wants.setup)) + _SLACK_S
        lock = self.folder / f"{digest}.lock"
        with locks.hold([lock], run_id="", agent="engine", stage="set-up", timeout_s=patience_s):
            if (used := locks.lease(self.folder / f"{digest}.used", shared=True)) is not None:
                self._leases.append(used)
            (self.folder / f"{digest}.used").touch()
            return self._known(digest) or self._make(digest, tree)

    def _known(self, digest: str) -> SetUp | None:
        """Return the set-up if it is whole, and nobody has written into it since."""
        try:
            made = msgspec.msgpack.decode((self.folder / digest / "done").read_bytes(), type=SetUp)
        except (OSError, msgspec.DecodeError):
            return None
        made = msgspec.structs.replace(
            made, root=str(self.folder / digest / "tree"), clone=self.wants.clone
        )
        return made if scan(Path(made.root), only=made.products) == made.files else None

    def _make(self, digest: str, tree: str) -> SetUp:
        folder = self.folder / digest
        with locks.hold(
            [running(self.folder, digest)],
            run_id="",
            agent="engine",
            stage="set-up",
            timeout_s=_SLACK_S,
        ):
            remove(
                folder
            )  # a command that outlived a killed pipeline holds the lock until it is gone
        self._make_room()
        root = folder / "tree"
        checkout = Workspace(root, self.store, sparse=self.wants.sparse)
        checkout.prepare(self._base.commit, tree)
        self._give_tags(root)
        before = scan(root)
        if links := self._links():
            Cloner(self._root, root, self.wants.clone).bring(
                links, self._look_at_links()[1], _NOTHING
            )
        for command in self.wants.setup:
            if (problem := self._run(command, root, digest)) is not None:
                remove(folder)
                self._failed[digest] = SetupFailed(command, problem)
                raise self._failed[digest]
        products = tuple(sorted(_products(root, before)))
        made = SetUp(
            digest=digest,
            root=str(root),
            products=products,
            files=scan(root, only=products),
            clone=self.wants.clone,
        )
        atomic.write_text(folder / "size", str(scan(root).size_bytes), durable=False)
        if (data := packed(made)) is not None:
            atomic.write_bytes(folder / "done", data)
        return made

    def _give_tags(self, root: Path) -> None:
        """Let commands see the repository's tags.

        That is where many projects get their version from.
        """
        lines = self._git(
            "for-each-ref", "--format=%(objectname) %(refname)", "refs/tags"
        ).splitlines()
        if lines and (root / ".git").is_dir():
            text = "\n".join(["# pack-refs with: peeled fully-peeled sorted ", *lines, ""])
            atomic.write_text(root / ".git" / "packed-refs", text, durable=False)


def _products(root: Path, before: Scan) -> list[str]:
    """List the highest paths that set-up has added to a tree, without caches.

    Links are not followed.
    """
    found: list[str] = []
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
                        found.append(path)
                elif path not in before.files and (
                    entry.is_symlink() or entry.is_file(follow_symlinks=False)
                ):
                    found.append(path)
    return found


def _require_linkable(root: Path, git: Git, path: str) -> None:
    """Make sure that a path of the checkout is there, ignored and no link itself.

    Raises `UsageProblem`.
    """
    where = root / path
    if where.is_symlink() or not where.exists():
        what = "a link itself" if where.is_symlink() else "not there"
        raise UsageProblem(
            f"workspace.link: {where} is {what}",
            f"Make {path} in your checkout, or take it out of the flow",
        )
    if git("ls-files", "-z", "--", f":(literal){path}") or not git(
        "check-ignore", "--", path, ok=(0, 1)
    ):
        raise UsageProblem(
            f"workspace.link: {path} is not ignored by git",
            "Add it to .gitignore: what is tracked is there anyway",
        )
