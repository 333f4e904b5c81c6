"""Repositories as people have them: clones of every kind, a remote, and what a run must leave as it
was.
"""

import hashlib
import os
import subprocess
from pathlib import Path

from tests.helpers.bare import Bare
from tests.helpers.project import RECORDS

HEAD = """\
version: 1
targets: [{name: app, source: [src/**], tests: [tests/**], test: python -m pytest -q}]
workflows:
  main:
    stages:
"""
WORK = "echo '# more' >> src/app.py; echo > src/new.py"
CHANGED = ["src/app.py", "src/new.py"]


def flow_of(work: str = WORK, writes: str = "src/**", publish: str = "{}") -> str:
    """The cheapest flow that publishes: one command, no agent, no gate."""
    work = work.replace("'", "''")
    return (
        HEAD
        + f"      work: {{run: '{work}', writes: ['{writes}']}}\n      out: {{publish: {publish}, needs: [work]}}\n"
    )


class Wild(Bare):
    """A checkout with a bare remote beside it, both below one folder."""

    def __init__(self, folder: Path, flow: str = "") -> None:
        super().__init__(folder, flow or flow_of())
        self.origin = self.root
        self.remote = folder / "remote.git"

    def with_remote(self) -> "Wild":
        self.git("clone", "--quiet", "--bare", ".", str(self.remote))
        self.at(self.remote, "config", "uploadpack.allowFilter", "true")
        self.at(self.remote, "config", "uploadpack.allowAnySHA1InWant", "true")
        self.git("remote", "add", "origin", str(self.remote))
        self.git("fetch", "--quiet", "origin")
        return self

    def cloned(self, *options: str) -> "Wild":
        """Go on in a clone of the remote."""
        if not self.remote.exists():
            self.with_remote()
        there = self.root.with_name("clone")
        self.git("clone", "--quiet", *options, f"file://{self.remote}", str(there))
        self.root = there
        self.git("config", "user.name", "A Person")
        self.git("config", "user.email", "person@example.org")
        return self

    def add(self, name: str | bytes, data: str | bytes, message: str = "Add a file") -> None:
        path = self.root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        self.commit(message)

    def at(self, folder: Path, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def fingerprint(self) -> dict[str, str]:
        """Every byte of checkout and git folder, but for objects, logs, records and the runs'
        branches.
        """
        found: dict[str, str] = {}
        for root in {self.root, self.origin}:
            for path in sorted(root.rglob("*")):
                name = path.relative_to(root).as_posix()
                if (
                    name.startswith((*RECORDS, ".git/objects", ".git/lfs", ".git/logs"))
                    or "refs/" in name
                ):
                    continue
                if path.is_symlink():
                    found[str(path)] = f"link {path.readlink()}"
                elif path.is_file():
                    found[str(path)] = (
                        f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
                    )
        runs = self.run_ids()
        refs = self.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return found | dict.fromkeys(
            (ref for ref in refs if not any(run in ref for run in runs)), ""
        )

    def publish(
        self, *command: str, code: int = 0, untouched: bool = True, **env: str
    ) -> "subprocess.CompletedProcess[str]":
        """Start a run (or the command given) and hold that it leaves the person's repository as it
        was.
        """
        before = self.fingerprint()
        done = self.run(*(command or ("trigger_workflow", "main", "an idea")), **env)
        assert done.returncode == code, done.stdout + done.stderr
        if untouched:
            after = self.fingerprint()
            assert {
                name for name in {*before, *after} if before.get(name) != after.get(name)
            } == set()
        return done

    def published(self, changed: list[str] = CHANGED) -> str:
        """Hold that the run's branch has exactly these changes, here and on the remote; return its
        head.
        """
        result = self.result()
        assert result["state"] == "done", result["reason"]
        assert self.changed() == sorted(changed), self.changed()
        if self.git("remote"):
            remote = self.git("ls-remote", "origin", f"refs/heads/{result['branch']}")
            assert remote.split("\t")[0] == result["head"]
        return str(result["head"])
