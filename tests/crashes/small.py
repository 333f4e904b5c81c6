"""The smallest run that passes every failpoint: two agents, a loop with a red round, a remote."""

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.helpers.bare import Bare
from tests.helpers.project import QUICK_TESTS, RECORDS, kill, survivors, wait_for

RUN = "20260102-030405-0a1b2c3d"
FLOW = f"""\
version: 1
targets: [{{name: app, source: [src/**], tests: [tests/**], test: {json.dumps(QUICK_TESTS)}}}]
agents: {{says: {{prompt: plain.md.j2, command: [sh, agent.sh]}}}}
workflows:
  main:
    inputs: {{idea: {{required: false}}}}
    stages:
      plan: {{agent: says, outputs: {{plan: plan.md}}, env: {{DO: 'CALL plan; echo "# Answer more" > "$PIPELINE_OUTPUT_DIR/plan.md"'}}}}
      look:
        needs: [plan]
        parallel:
          left: {{run: "CALL left; echo left > docs/left.md", writes: [docs/left.md]}}
          right: {{run: "CALL right; echo right > docs/right.md", writes: [docs/right.md]}}
      build:
        needs: [look]
        loop: {{max: 3, until: verify.passed}}
        stages:
          dev: {{agent: says, writes: [src/**], env: {{DO: 'CALL dev; if [ -e ../tried ]; then sed -i s/41/42/ src/app.py; echo ok > src/more.py; else touch ../tried; sed -i s/42/41/ src/app.py; fi'}}}}
          verify: {{run: "CALL verify", needs: [dev], gates: [green]}}
      out: {{publish: {{}}, needs: [build]}}
"""
CALLS = {"plan": 1, "left": 1, "right": 1, "dev": 2, "verify": 2}
MADE = {"docs/left.md": "left", "docs/right.md": "right", "src/more.py": "ok"}
"""What a run leaves on its branch, beside what was there; `src/app.py` is as it was."""


class Small(Bare):
    """The repository of that run, with a bare remote beside it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        text = FLOW.replace("../", f"{folder}/")
        for stage in CALLS:
            text = text.replace(f"CALL {stage}", f"echo x >> {folder}/calls.{stage}")
        super().__init__(folder, text)
        test = self.root / "tests" / "test_app.py"
        test.write_text(test.read_text().replace("from src.app", "from app"))
        (self.root / "docs").mkdir()
        (self.root / "docs" / "README.md").write_text("Documents.\n")
        self.commit("Documents")
        self.folder, self.remote = folder, folder / "origin.git"
        subprocess.run(["git", "init", "-q", "--bare", str(self.remote)], check=True)
        self.git("remote", "add", "origin", str(self.remote))
        self.git("push", "-q", "origin", "main")
        self.before = self.fingerprint()

    def calls(self) -> dict[str, int]:
        """How often each stage's command was really started."""
        paths = {stage: self.folder / f"calls.{stage}" for stage in CALLS}
        return {
            stage: path.read_text().count("x") if path.exists() else 0
            for stage, path in paths.items()
        }

    def fingerprint(self) -> dict[str, bytes]:
        """Every byte of the checkout that a run must leave alone."""
        files = (path for path in sorted(self.root.rglob("*")) if path.is_file())
        named = {path.relative_to(self.root).as_posix(): path for path in files}
        return {
            name: path.read_bytes()
            for name, path in named.items()
            if not name.startswith((*RECORDS, ".git/"))
        }

    def journal(self) -> bytes:
        """The bytes of the journal, as far as its lines are whole."""
        for path in (
            self.root / "docs" / "status" / "runs" / RUN / "journal.jsonl",
            *(self.folder / "state").glob(f"repos/*/runs/{RUN}/journal.jsonl"),
        ):
            if path.exists():
                data = path.read_bytes()
                return data[: data.rfind(b"\n") + 1]
        return b""

    def refs(self) -> dict[str, str]:
        """The branches on the remote besides main."""
        done = subprocess.run(
            ["git", "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads"],
            cwd=self.remote, capture_output=True, text=True, check=True,
        )  # fmt: skip
        pairs = dict(line.split(" ") for line in done.stdout.splitlines())
        return {name: commit for name, commit in pairs.items() if name != "main"}

    def pulls(self) -> list[dict[str, Any]]:
        """The pull requests."""
        folder = self.remote.with_name("origin.pulls")
        return [json.loads(path.read_text()) for path in sorted(folder.glob("[0-9]*.json"))]

    def begin(self, **env: str) -> "subprocess.Popen[str]":
        """Start the run, or go on with it."""
        return self.start("trigger_workflow", "main", RUN, "answer-more", **env)


def of_run(folder: Path, part: str) -> list[int]:
    """List processes of a run: its nursery, its shims (children of that), its commands."""
    found = []
    for line in survivors(folder):
        pid, _, command = line.partition(" ")
        is_ours = "process.nursery" in command
        if part == "all" or (part == "shim") == (is_ours and _parent_is_nursery(int(pid))):
            found.append(int(pid))
    return found


def _parent_is_nursery(pid: int) -> bool:
    try:
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        return b"process.nursery" in Path(f"/proc/{parent}/cmdline").read_bytes()
    except OSError:
        return False


def die(small: Small, process: "subprocess.Popen[str]", who: str) -> None:
    """Kill a part of a hanging run: its main process, the group, its shims too, or everything."""
    if who == "main":
        kill(process)
        return
    # A shim is a fork of the nursery, and looks like it but for its parent.
    nursery = [
        pid
        for pid in of_run(small.folder, "all")
        if _is_nursery(pid) and not _parent_is_nursery(pid)
    ]
    victims = {
        "group": nursery,
        "shim": of_run(small.folder, "shim"),
        "all": of_run(small.folder, "all"),
    }[who]
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    kill(process)


def _is_nursery(pid: int) -> bool:
    try:
        return b"process.nursery" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def hang(small: Small, process: "subprocess.Popen[str]", mark: Path) -> bool:
    """Wait until the process hangs at its failpoint; False if it ended without reaching it."""
    wait_for(lambda: mark.exists() or process.poll() is not None, "the failpoint")
    return mark.exists()
