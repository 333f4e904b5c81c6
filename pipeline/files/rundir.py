"""Where the files of a run are: its run folder in the checkout, its working folder in our state.

The run folder (`docs/status/runs/<run_id>/`) is for people. The working folder has what agents
touch: attempts, and outputs as they were accepted. Workspaces are apart from both, because runs use
them in turn. The journal, the source of truth, is one file with a name in each of the two folders,
and the plan has a copy in each: either folder can be lost, by `git clean -fdx` or because the state
lies elsewhere, and the run can still be told.
"""

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from pipeline.errors import UsageProblem
from pipeline.files import atomic
from pipeline.files.journal import NAME as JOURNAL
from pipeline.files.trees import files_below, remove
from pipeline.ids import is_run_id, lock_file_name, stage_folder
from pipeline.language.flow import LockScope

RUNS = "docs/status/runs"
LATEST = "docs/status/latest"
PLANS = "docs/plans/runs"
REQUEST = "feature_request.md"
"""The file in a run folder with what was asked for; a person may prepare it."""

LOCKS = ".locks"
TRIGGERS = ".triggers"
ANSWER = "answer.md"
"""The file, among a stage's outputs and in its folder for people, with what its agent answered."""

LAST_ROUND = "last_round"
"""The folder, among a stage's inputs, with what it was sent back with."""

_PLAN = "plan.json"
_CHECKOUT = "checkout"
"""The file in a working folder with the path of the checkout that the run was started in."""

RECORD_FOLDERS = ("docs/status", PLANS, LOCKS, TRIGGERS)
"""The folders of a checkout that runs write into."""

_COPY_MAX_BYTES = 16 * 1024 * 1024


class RunDir:
    """The two folders of one run."""

    def __init__(self, root: Path, repo_state: Path, run_id: str) -> None:
        """`root` is the checkout, `repo_state` the repository's folder in the state folder."""
        self.root = root
        self.run_id = run_id
        self.folder = root / RUNS / run_id
        self.work = repo_state / "runs" / run_id
        self.shown_journal = self.folder / JOURNAL
        self.kept_journal = self.work / JOURNAL
        self.shown_plan = self.folder / _PLAN
        self.kept_plan = self.work / _PLAN
        self.lock_folder = repo_state / "locks"
        self.flow = self.work / "flow"
        self.workspaces = repo_state / "workspaces"

    @property
    def exists(self) -> bool:
        """Whether the run has been started."""
        return self.kept_journal.exists() or self.shown_journal.exists()

    @property
    def journal(self) -> Path:
        """The journal: in the working folder, or in the run folder when that is all there is."""
        return self.kept_journal if self.kept_journal.exists() else self.shown_journal

    @property
    def plan(self) -> Path:
        """The compiled plan: in the working folder, or the copy in the run folder."""
        return self.kept_plan if self.kept_plan.exists() else self.shown_plan

    def create(self) -> None:
        """Create both folders, and keep the record folders out of the user's `git status`."""
        self.work.mkdir(parents=True, exist_ok=True)
        atomic.write_text(self.work / _CHECKOUT, f"{self.root}\n", durable=False)
        self.show()

    def show(self) -> None:
        """Create the run folder, with the journal and the plan as far as they are there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in RECORD_FOLDERS:
            folder = self.root / name
            folder.mkdir(parents=True, exist_ok=True)
            ignore = folder / ".gitignore"
            if not ignore.exists() and not _is_ours(folder):
                atomic.write_text(ignore, "*\n")
        if self.kept_plan.exists() and not self.shown_plan.exists():
            shutil.copyfile(self.kept_plan, self.shown_plan)
        for one, other in (
            (self.kept_journal, self.shown_journal),
            (self.shown_journal, self.kept_journal),
        ):
            if one.exists() and not other.exists() and other.parent.is_dir():
                _same_file(one, other)
        atomic.sync_folder(self.folder)

    @property
    def checkout(self) -> Path:
        """The checkout that the run was started in, by its working folder."""
        known = self.work / _CHECKOUT
        return Path(known.read_text(errors="replace").strip()) if known.is_file() else self.root

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

    def locks(self, name: str, scope: LockScope) -> tuple[Path, Path]:
        """Return the files of a lock that the flow declares, for this run or for all runs.

        Both are held together. People look at the one in `.locks/`; that can be deleted while it is
        held, and then keeps nobody out, so the one in our state does.
        """
        file = lock_file_name(name, self.run_id if scope is LockScope.RUN else None)
        return self.lock_folder / file, self.root / LOCKS / file

    @property
    def run_locks(self) -> tuple[Path, Path]:
        """The lock of the process that works on the run."""
        return self.locks("run", LockScope.RUN)

    def switch_latest(self) -> None:
        """Point `docs/status/latest` at this run."""
        link = self.root / LATEST
        if link.is_dir() and not link.is_symlink():
            raise UsageProblem(
                f"{link} is a folder, but should be a symbolic link of ours",
                f"Move it away: mv {link} {link}.old",
            )
        atomic.switch_link(link, f"runs/{self.run_id}")


def runs_in(root: Path) -> list[str]:
    """List the runs that have a run folder in a checkout, the newest first."""
    names = (path.parent.name for path in (root / RUNS).glob(f"*/{JOURNAL}"))
    return sorted((name for name in names if is_run_id(name)), reverse=True)


def has_moved(work: Path, root: Path) -> bool:
    """Return whether a working folder is of a checkout that was moved to `root`.

    It and all others of that checkout are told where it is now.
    """
    known = work / _CHECKOUT
    old = known.read_text(errors="replace") if known.is_file() else ""
    if not old.strip() or Path(old.strip()).exists():
        return False
    for path in work.parent.glob(f"*/{_CHECKOUT}"):
        if path.read_text(errors="replace") == old:
            atomic.write_text(path, f"{root}\n", durable=False)
    return True


def hidden_runs(repo_state: Path, root: Path, shown: Collection[str]) -> list[str]:
    """List the runs of a checkout, by their working folders, that have no run folder any more."""
    return [
        path.parent.name
        for path in (repo_state / "runs").glob(f"*/{JOURNAL}")
        if path.parent.name not in shown
        and is_run_id(path.parent.name)
        and RunDir(root, repo_state, path.parent.name).checkout == root
    ]


def _same_file(there: Path, new: Path) -> None:
    """Give a file a second name; a copy where the two folders share no file system."""
    try:
        os.link(there, new)
    except OSError:
        shutil.copyfile(there, new)


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
