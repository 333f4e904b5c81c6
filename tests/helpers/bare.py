"""The smallest repository that a flow can run in, and the real commands run on it as processes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.helpers.project import begin, survivors

BIN = Path(sys.executable).parent
AGENT = 'cat > "$TMPDIR/prompt"\neval "$DO"\n'


class Bare:
    """A checkout without a remote: one source file, one test, a flow, and an agent that does what
    `DO` says.
    """

    def __init__(self, folder: Path, flow: str) -> None:
        self.root = folder / "repo"
        self.env = {
            "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PIPELINE_STATE_DIR": str(folder / "state"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            **{
                name: os.environ[name]
                for name in ("PYTHONPATH", "PIPELINE_PORTABLE")
                if name in os.environ
            },
        }
        files = {
            "src/app.py": "def answer():\n    return 42\n",
            "tests/test_app.py": "from src.app import answer\n\n\ndef test_answer():\n    assert answer() == 42\n",
            "agents/flow.yaml": flow,
            "agent.sh": AGENT,
            "agent_prompts/plain.md.j2": "Do it: {{ idea }}{{ item_text }}{{ feedback | join }}{{ replies | join }}\n",
        }
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "A Person")
        self.git("config", "user.email", "person@example.org")
        self.commit("Start")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", message)

    def start(self, *command: str, **env: str) -> "subprocess.Popen[str]":
        return begin(*command, cwd=self.root, env={**self.env, **env})

    def run(self, *command: str, **env: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*command, **env)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def run_ids(self) -> list[str]:
        folder = self.root / "docs" / "status" / "runs"
        return (
            sorted(path.parent.name for path in folder.glob("*/journal.jsonl"))
            if folder.is_dir()
            else []
        )

    def newest(self) -> str:
        """The run that was started last; ids of one second have no order of their own."""
        return max(self.run_ids(), key=lambda name: str(self.events(name)[0]["at"]), default="")

    def result(self) -> dict[str, Any]:
        done = self.run("pipeline", "status", self.newest(), "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def events(self, run: str = "") -> list[dict[str, Any]]:
        path = self.root / "docs" / "status" / "runs" / (run or self.newest()) / "journal.jsonl"
        return [json.loads(line.split(" ", 2)[2]) for line in path.read_text().splitlines()]

    def started(self) -> list[str]:
        """The stages that were started in the newest run, in that order, again and again if they
        were.
        """
        return [event["stage"] for event in self.events() if event["event"] == "stage_started"]

    def survivors(self) -> list[str]:
        """Processes of this repository's runs that are still alive."""
        return survivors(self.root.parent)

    def changed(self) -> list[str]:
        found = self.result()
        return sorted(self.git("diff", "--name-only", found["base"], found["branch"]).splitlines())
