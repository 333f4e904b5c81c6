"""A person's repository made of plain dicts, with a store that borrows from it, and set-ups run by
a real shell.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pipeline.language.target import WorkspaceNeeds as Wants
from pipeline.process.environment import with_programs
from pipeline.repo.setups import SetupProblem, Setups
from pipeline.repo.store import PinnedBase, Store
from pipeline.repo.user import UserRepo
from pipeline.repo.workspace import Workspace


def sh(folder: Path, *command: str, env: Mapping[str, str] | None = None) -> str:
    env = env or {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


class Checkout:
    """The repository, and everything a run would make of it."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self.root, self.state = folder / "repo", folder / "state"
        self.root.mkdir(parents=True)
        self.write(files)
        sh(self.root, "git", "init", "-q", "-b", "main")
        self.user = UserRepo(self.root, {"PATH": os.environ["PATH"], "HOME": str(folder)})
        self.store = Store(self.state / "store.git", self.user.objects)
        self.ran: list[str] = []
        self.commit()

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)

    def commit(self, **files: str) -> str:
        """Commit the checkout, with some files written before (`__` stands for `/`); return the
        tree.
        """
        self.write({name.replace("__", "/"): text for name, text in files.items()})
        sh(self.root, "git", "add", "-A")
        sh(
            self.root,
            "git",
            "-c",
            "user.name=P",
            "-c",
            "user.email=p@q",
            "commit",
            "-qm",
            "m",
            "--allow-empty",
        )
        return self.tree

    @property
    def head(self) -> str:
        return sh(self.root, "git", "rev-parse", "HEAD")

    @property
    def tree(self) -> str:
        return sh(self.root, "git", "rev-parse", "HEAD^{tree}")

    def setups(self, *commands: str, **wants) -> Setups:
        """Set-ups as another process would open them."""
        flow = Wants(setup=commands, **wants)
        env = {"PATH": os.environ["PATH"]}
        base = PinnedBase(commit=self.head, tree=self.tree)
        user = (self.root, self.user.git)
        return Setups(self.state / "setups", self.store, flow, user, env, self._run, base=base)

    def _run(self, command: str, cwd: Path, _name: str) -> SetupProblem | None:
        self.ran.append(command)
        env = with_programs({"PATH": os.environ["PATH"], "HOME": str(self.state)}, [cwd])
        done = subprocess.run(
            ["sh", "-c", command], cwd=cwd, env=env, capture_output=True, text=True, check=False
        )
        reason = f"exit status {done.returncode}: {done.stderr[-200:]}"
        return SetupProblem(reason=reason) if done.returncode else None

    def workspace(self, name: str = "0", **options) -> Workspace:
        """A workspace as another process would open it."""
        return Workspace(self.state / "ws" / name / "tree", self.store, **options)
