"""A workspace made ready, and a change taken out of it, against git's own commands.

For each size: a repository of so many small files in folders of fifty. *first* is a new workspace,
*again* one that another process left as it was, *another tree* one that is moved to a tree with one
other file; all three against `git worktree add`. *harvest* names one changed file by our own walk
and writes the tree, against `git add -A && git write-tree` in the worktree. *sparse* has one folder
of a hundred.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import environment, keep, options, show, show_machine

from pipeline.repo.store import Store
from pipeline.repo.workspace import Workspace

WORKTREE, ADD = "git worktree add", "git add, write-tree"
_SPARSE = ("p7",)
_FOLDERS = 100


def main() -> None:
    """Measure and print."""
    parser = options(__doc__ or "", rounds=3)
    parser.add_argument(
        "--files", type=int, nargs="+", default=[2_000, 20_000], help="sizes (default 2000 20000)"
    )
    given = parser.parse_args()
    show_machine(given.rounds)
    for files in given.files:
        with _repository(files) as bench:
            seconds: dict[str, list[float]] = {}
            for _ in range(given.rounds):
                for name, took_s in bench.round():
                    seconds.setdefault(name, []).append(took_s)
            ready = {
                name: values
                for name, values in seconds.items()
                if "harvest" not in name and name != ADD
            }
            taken = {name: values for name, values in seconds.items() if name not in ready}
            show(f"{files} files: the workspace is ready", ready, [WORKTREE])
            show(f"{files} files: the tree with one changed file", taken, [ADD])
            print(
                f"a workspace takes {bench.size_mb:.0f} MB on the disk; a sparse one "
                f"{bench.sparse_mb:.0f} MB"
            )
            keep(given.json, "workspace", f"{files} files", seconds)


class _Bench:
    """One repository, and everything that is timed on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "repository"
        self.store = Store(folder / "state" / "store.git", self.root / ".git" / "objects")
        self.commit, self.other = self.git("rev-parse", "main", "other").split()
        self.size_mb = self.sparse_mb = 0.0

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.root,
            env=environment(self.folder),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def round(self) -> Iterator[tuple[str, float]]:
        """Time everything once."""
        worktree = self.folder / "worktree"
        yield (
            WORKTREE,
            _timed(
                lambda: self.git(
                    "worktree", "add", "--quiet", "--detach", str(worktree), self.commit
                )
            ),
        )
        yield from self._ours("", ())
        yield from self._ours("sparse, ", _SPARSE)
        (worktree / "p7" / "d0" / "f7.txt").write_text("changed\n")
        yield (
            ADD,
            _timed(
                lambda: (self.git("add", "-A", cwd=worktree), self.git("write-tree", cwd=worktree))
            ),
        )
        self.git("worktree", "remove", "--force", str(worktree))

    def _ours(self, word: str, sparse: tuple[str, ...]) -> Iterator[tuple[str, float]]:
        folder = self.folder / "state" / "ws"
        tree, other = self.store.tree_of(self.commit), self.store.tree_of(self.other)

        def opened() -> Workspace:
            return Workspace(folder / "tree", self.store, sparse=sparse)

        for name, commit, wanted in (
            ("first", self.commit, tree),
            ("again", self.commit, tree),
            ("another tree", self.other, other),
        ):
            workspace = opened()
            yield f"{word}{name}", _timed(lambda at=workspace, c=commit, t=wanted: at.prepare(c, t))
        (folder / "tree" / "p7" / "d0" / "f7.txt").write_text("changed\n")
        yield f"{word}harvest", _timed(lambda: workspace.harvest(("**",), other))
        used = (
            int(
                subprocess.run(
                    ["du", "-sk", str(folder)], capture_output=True, check=True
                ).stdout.split()[0]
            )
            / 1e3
        )
        self.size_mb, self.sparse_mb = (self.size_mb, used) if sparse else (used, self.sparse_mb)
        shutil.rmtree(folder)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@contextmanager
def _repository(files: int) -> Iterator[_Bench]:
    """Make a repository of so many files with two commits, the second with one file changed."""
    folder = Path(tempfile.mkdtemp(prefix="idea-to-pr-bench-")).resolve()
    try:
        root = folder / "repository"
        env = environment(folder)
        subprocess.run(
            ["git", "init", "--quiet", "--initial-branch=main", str(root)], env=env, check=True
        )
        stream = "\n".join(_stream(files)).encode()
        subprocess.run(
            ["git", "fast-import", "--quiet"], cwd=root, env=env, input=stream, check=True
        )
        yield _Bench(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stream(files: int) -> Iterator[str]:
    who = "committer Benchmark <benchmark@localhost> 1700000000 +0000"
    yield f"commit refs/heads/main\n{who}\ndata 5\nfirst"
    for number in range(files):
        text = f"file {number}\n" * 20
        inside, folder = divmod(number, _FOLDERS)
        yield f"M 100644 inline p{folder}/d{inside // 50}/f{number}.txt\ndata {len(text)}\n{text}"
    yield f"commit refs/heads/other\n{who}\ndata 5\nother\nfrom refs/heads/main"
    yield "M 100644 inline p3/d0/f3.txt\ndata 6\nother\n\n"


if __name__ == "__main__":
    main()
