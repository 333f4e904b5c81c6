"""Trees in a real store, made from plain dicts: for tests of gates and of everything that compares
trees.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipeline.core.evidence import GateResult
from pipeline.gates.base import GateContext
from pipeline.gates.bench import Bench
from pipeline.language.flow import GateName
from pipeline.language.target import Target, TestCommand
from pipeline.language.words import Glob, Name
from pipeline.process.commands import CommandMaker
from pipeline.process.launch import Launcher
from pipeline.repo.store import PinnedBase, Store
from pipeline.repo.workspace import Workspace

BASE = {
    "pyproject.toml": '[project]\nname = "app"\ndependencies = ["httpx"]\n[tool.pytest.ini_options]\npythonpath = ["src"]\n',
    "src/app/__init__.py": "",
    "src/app/money.py": "def add(a, b):\n    return a + b\n",
    "tests/test_money.py": "from app.money import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
}
TARGET = Target(
    name=Name("app"),
    source=(Glob("src/**"),),
    tests=(Glob("tests/**"),),
    test=TestCommand(command="python -m pytest -q"),
)


class Trees:
    """A store with a base tree, and a bench to run gates on other trees."""

    def __init__(
        self,
        folder: Path,
        launcher: Launcher,
        base: Mapping[str, str] = BASE,
        targets: tuple[Target, ...] = (TARGET,),
        **env: str,
    ) -> None:
        self.targets = targets
        borrowed = folder / "user"
        subprocess.run(["git", "init", "-q", "--bare", str(borrowed)], check=True)
        self.store = Store(folder / "store.git", borrowed / "objects")
        env = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **env,
        }
        commands = CommandMaker(
            env, {}, run_id="r", caches=folder / "cache", lock_timeout_s=1.0, portable=False
        )
        self.base = self.tree(base)
        self.bench = Bench(
            self.store,
            launcher,
            commands,
            folder=folder / "bench",
            cache=folder / "cache",
            checkout=Workspace(folder / "bench" / "checkout", self.store),
            base=PinnedBase(commit=self.first(self.base), tree=self.base),
            randomness=os.urandom,
        )
        self.files = dict(base)

    def tree(self, files: Mapping[str, str]) -> str:
        """Write a tree with exactly these files."""
        with self.store.private_index() as env:
            for path, text in files.items():
                blob = self.store.git("hash-object", "-w", "--stdin", stdin=text.encode())
                self.store.git(
                    "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=env
                )
            return self.store.git("write-tree", env=env)

    def plus(self, **changes: str | None) -> str:
        """Write the base tree with some files changed, added, or (None) taken away; `__` stands for
        `/`.
        """
        files = dict(self.files)
        for name, text in changes.items():
            path = name if "/" in name else name.replace("__", "/") + ("" if "." in name else ".py")
            files.pop(path, None)
            if text is not None:
                files[path] = text
        return self.tree(files)

    def first(self, tree: str) -> str:
        """Commit a tree without a parent."""
        identity = {
            f"GIT_{who}_{what}": text
            for who in ("AUTHOR", "COMMITTER")
            for what, text in (("NAME", "A"), ("EMAIL", "a@b"), ("DATE", "@1767225600 +0000"))
        }
        return self.store.git("commit-tree", tree, "-m", "m", env=identity)

    def commit(self, tree: str, parent: str) -> str:
        return self.store.commit(
            tree, parent, "m\n", author="A <a@b>", at=datetime(2026, 1, 1, tzinfo=UTC)
        )

    def context(self, tree: str, red: GateResult | None = None, **more) -> GateContext:
        return GateContext(
            store=self.store,
            bench=self.bench,
            targets=self.targets,
            base_tree=self.base,
            tree=tree,
            red=red,
            **more,
        )


@contextmanager
def trees(
    folder: Path,
    base: Mapping[str, str] = BASE,
    targets: tuple[Target, ...] = (TARGET,),
    **env: str,
) -> Iterator[Trees]:
    """Have a store and a bench for the length of the block."""
    with Launcher(folder / "launcher.log") as launcher:
        yield Trees(folder, launcher, base, targets, **env)


RED, GREEN, PROOF = GateName.RED, GateName.GREEN, GateName.PROOF
