"""A real repository with a bare remote, and the real commands run on it as processes."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.demo import stage_set
from pipeline.files.clocks import awake_s

ROOT = Path(__file__).parents[2]
AGENT = Path(__file__).parent / "scripted_agent.py"
PYTEST = "python -m pytest -q"
QUICK_TESTS = f"python {Path(__file__).parent / 'quick_tests.py'} {{report}}"
BIN = Path(sys.executable).parent
RECORDS = ("docs/status", "docs/plans/runs", ".locks", ".triggers")


class Project:
    """A checkout with history, its bare remote, and a private HOME and state folder, all below one
    folder.
    """

    def __init__(self, folder: Path, *, remote: bool = True, test: str = QUICK_TESTS) -> None:
        """`test` is the command for the tests; pytest itself is for journeys about tests."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.root, self.remote = stage_set.set_up(folder, ROOT)
        self.takes = folder / "takes"
        shutil.copytree(stage_set.CASSETTE, self.takes)
        self.home = folder / "home"
        self.home.mkdir()
        if not remote:
            self.git("remote", "remove", "origin")
        self._test = test
        self.use_agent(sys.executable, str(AGENT), str(self.takes))

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **{
                name: os.environ[name]
                for name in ("PYTHONPATH", "PIPELINE_PORTABLE")
                if name in os.environ
            },
        }

    def use_agent(self, *command: str) -> None:
        """Let this command play all agents, and commit the flow that says so."""
        path = self.root / "agents" / "flow.yaml"
        lines = path.read_text().splitlines()
        at = next(index for index, line in enumerate(lines) if line.startswith("  command:"))
        lines[at] = f"  command: {json.dumps(list(command))}"
        lines = [one for one in lines if not one.startswith("  backend:")]
        if "    proof: {faults: 1}" not in lines:
            at = next(index for index, line in enumerate(lines) if line.startswith("    test: "))
            lines[at] = f"    test: {json.dumps(self._test)}"
            lines.insert(at + 1, "    proof: {faults: 1}")
        path.write_text("\n".join(lines) + "\n")
        self.git("commit", "--quiet", "-am", "Say who plays the agents")
        if self.git("remote"):
            self.git("push", "--quiet", "origin", "main")

    def edit_flow(self, old: str, new: str) -> None:
        path = self.root / "agents" / "flow.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        self.git("commit", "--quiet", "-am", "Change the flow")

    def git(self, *arguments: str) -> str:
        env = {**self.env, **stage_set.AUTHOR, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def remote_refs(self) -> dict[str, str]:
        text = subprocess.run(
            ["git", "for-each-ref", "--format=%(refname) %(objectname)"],
            cwd=self.remote, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        return dict(line.split(" ") for line in text.splitlines())

    def pulls(self) -> list[dict[str, Any]]:
        folder = self.remote.with_name("trading.pulls")
        return [json.loads(path.read_text()) for path in sorted(folder.glob("[0-9]*.json"))]

    def start(self, command: str, *arguments: str, **env: str) -> "subprocess.Popen[str]":
        return begin(command, *arguments, cwd=self.root, env={**self.env, **env})

    def run(self, command: str, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(command, *arguments, **env)
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{command} {arguments} did not end:\n{out}\n{err}") from None
        return subprocess.CompletedProcess([command, *arguments], process.returncode, out, err)

    def trigger(self, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return self.run(
            "trigger_workflow", "idea_to_feature", *(arguments or ("limit the risk",)), **env
        )

    def result(self, run: str | None = None) -> dict[str, Any]:
        """The result object of the run (of the only one, if none is named)."""
        done = self.run("pipeline", "status", run or self.run_ids()[-1], "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def run_ids(self) -> list[str]:
        folder = self.root / "docs" / "status" / "runs"
        return (
            sorted(path.parent.name for path in folder.glob("*/journal.jsonl"))
            if folder.is_dir()
            else []
        )

    def run_dir(self, run: str | None = None) -> Path:
        return self.root / "docs" / "status" / "runs" / (run or self.run_ids()[-1])

    def calls(self, stage: str) -> int:
        """How often the scripted agent was called for a stage."""
        path = self.takes / stage / "calls"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def take(self, stage: str, number: int = 1) -> Path:
        """The folder of one take, made if need be."""
        folder = self.takes / stage / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def script(self, stage: str, number: int, code: str) -> None:
        """Let the agent run this Python in the workspace instead of playing the take's files."""
        (self.take(stage, number) / "take.py").write_text(code)

    def script_every_try(self, stage: str, code: str) -> None:
        """The same for the first try and both that follow a failure."""
        for number in (1, 2, 3):
            self.script(stage, number, code)

    def fingerprint(self) -> dict[str, str]:
        """Every byte of the checkout and its git folder that a run must leave alone."""
        found: dict[str, str] = {}
        for path in sorted(self.root.rglob("*")):
            name = path.relative_to(self.root).as_posix()
            if name.startswith((*RECORDS, ".git/objects", ".git/refs/heads/feature")):
                continue
            if name.startswith((".git/refs/remotes/origin/feature", ".git/logs")):
                continue
            if path.is_symlink():
                found[name] = f"link {path.readlink()}"
            elif path.is_file():
                found[name] = (
                    f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
                )
        return found

    def survivors(self) -> list[str]:
        return survivors(self.folder)


def survivors(folder: Path) -> list[str]:
    """Command lines of processes that still carry a run's mark or work below this folder."""
    mine = os.getpid()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == mine:
            continue
        try:
            environ = (entry / "environ").read_bytes()
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and str(folder).encode() in environ:
            found.append(f"{entry.name} {line}")
    return found


def begin(
    command: str, *arguments: str, cwd: Path, env: Mapping[str, str]
) -> "subprocess.Popen[str]":
    """Start one of our commands (or any other) as a process, with nothing on standard input."""
    program = BIN / command
    return subprocess.Popen(
        [str(program) if program.exists() else command, *arguments],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], bool], what: str, within_s: float = 60.0) -> None:
    """Wait until something is so; fail with `what` when it does not become so."""
    deadline = awake_s() + within_s
    while not condition():
        assert awake_s() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


def kill(process: "subprocess.Popen[str]") -> None:
    """SIGKILL, and collect the process."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


def merged(env: Mapping[str, str], **more: str) -> dict[str, str]:
    return {**env, **more}
