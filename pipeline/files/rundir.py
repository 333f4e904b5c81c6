"""Where the files of a run are: its run folder in the checkout, its working folder in our state.

The run folder (`docs/status/runs/<run_id>/`) is for people, but its journal is the source of truth.
The working folder has what agents touch: attempts, and outputs as they were accepted. Workspaces
are apart from both, because runs use them in turn.
"""

import os
import shutil
from pathlib import Path

from pipeline.errors import UsageProblem
from pipeline.files import atomic
from pipeline.files.journal import NAME as JOURNAL
from pipeline.files.trees import files_below, remove
from pipeline.ids import lock_file_name, stage_folder
from pipeline.language.flow import LockScope

RUNS = "docs/status/runs"
LATEST = "docs/status/latest"
PLANS = "docs/plans/runs"
LOCKS = ".locks"
TRIGGERS = ".triggers"
ANSWER = "answer.md"
"""The file, among a stage's outputs and in its folder for people, with what its agent answered."""

LAST_ROUND = "last_round"
"""The folder, among a stage's inputs, with what it was sent back with."""

_RECORD_FOLDERS = ("docs/status", PLANS, LOCKS, TRIGGERS)
_COPY_MAX_BYTES = 16 * 1024 * 1024


class RunDir:
    """The two folders of one run."""

    def __init__(self, root: Path, repo_state: Path, run_id: str) -> None:
        """`root` is the checkout, `repo_state` the repository's folder in the state folder."""
        self.root = root
        self.run_id = run_id
        self.folder = root / RUNS / run_id
        self.work = repo_state / "runs" / run_id
        self.journal = self.folder / JOURNAL
        self.plan = self.work / "plan.json"
        self.flow = self.work / "flow"
        self.workspaces = repo_state / "workspaces"

    @property
    def exists(self) -> bool:
        """Whether the run has been started."""
        return self.journal.exists()

    def create(self) -> None:
        """Create both folders, and keep the record folders out of the user's `git status`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.work.mkdir(parents=True, exist_ok=True)
        for name in _RECORD_FOLDERS:
            folder = self.root / name
            folder.mkdir(parents=True, exist_ok=True)
            ignore = folder / ".gitignore"
            if not ignore.exists() and not _is_ours(folder):
                atomic.write_text(ignore, "*\n")

    def attempt(self, stage: str, number: int) -> Path:
        """Return the folder of one attempt: prompt, logs, exit record, outputs."""
        return self.work / "attempts" / stage_folder(stage) / str(number)

    def accepted(self, stage: str) -> Path:
        """Return the folder of a stage's accepted outputs."""
        return self.work / "accepted" / stage_folder(stage)

    def last_round(self, name: str) -> Path:
        """Return the folder with the log and the change that a loop or stage was sent back with."""
        return self.work / LAST_ROUND / stage_folder(name)

    def accepted_stages(self) -> set[str]:
        """Return the stages (or follow-up workflows) with accepted outputs, by their first name."""
        folder = self.work / "accepted"
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    def stage(self, stage: str) -> Path:
        """Return a stage's folder for people."""
        return self.folder / stage_folder(stage)

    def lock(self, name: str, scope: LockScope) -> Path:
        """Return the file of a lock that the flow declares, for this run or for all runs."""
        own = self.run_id if scope is LockScope.RUN else None
        return self.root / LOCKS / lock_file_name(name, own)

    @property
    def run_lock(self) -> Path:
        """The lock of the process that works on the run."""
        return self.lock("run", LockScope.RUN)

    def switch_latest(self) -> None:
        """Point `docs/status/latest` at this run."""
        link = self.root / LATEST
        if link.is_dir() and not link.is_symlink():
            raise UsageProblem(
                f"{link} is a folder, but should be a symbolic link of ours",
                f"Move it away: mv {link} {link}.old",
            )
        atomic.switch_link(link, f"runs/{self.run_id}")


def _is_ours(folder: Path) -> bool:
    """Return whether the repository itself decides what to ignore there: it has a README."""
    return (folder / "README.md").exists()


def list_outputs(folder: Path) -> list[str]:
    """List the output files of an attempt; links, unreadable and very large files do not count."""
    return [
        name
        for name in files_below(folder)
        if (folder / name).stat().st_size <= _COPY_MAX_BYTES and os.access(folder / name, os.R_OK)
    ]


def copy_outputs(source: Path, *targets: Path) -> list[str]:
    """Copy the output files of an attempt, replacing existing files; return their names."""
    names = list_outputs(source)
    for name in names:
        for target in targets:
            for up in (target / name).relative_to(target).parents:
                if (target / up).is_file():
                    (target / up).unlink()
            if (target / name).is_dir():
                remove(target / name)
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)
    return names
