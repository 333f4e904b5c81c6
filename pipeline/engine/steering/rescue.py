"""What only this run has: kept as a ref and as patches before the run is removed."""

import shutil
from pathlib import Path

import msgspec

from pipeline.core.traces import Traces
from pipeline.engine.ground.world import World
from pipeline.engine.running.edits import keep_edits
from pipeline.files import atomic
from pipeline.files.rundir import RunDir
from pipeline.repo.store import Store

_PATCHES = "patches"


class RescuedRun(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run's work is kept."""

    ref: str
    folder: str
    restore: str

    def __str__(self) -> str:
        """Name the ref and the folder in one line."""
        return f"its work is kept in {self.folder}; get it back: {self.restore}"


def exists_elsewhere(world: World, run: Traces) -> bool:
    """Return whether the person has a run's work: on the remote, merged, or in a branch here.

    Looks at what is known here, without a network; when that does not say, the answer is no.
    """
    started, head, branch = run.started, run.work, run.effects.branch
    if not head:
        return True
    if branch is None:
        return False
    prefix = f"refs/remotes/{started.remote}" if started.remote else "refs/heads"
    return any(
        world.user.git.succeeds("merge-base", "--is-ancestor", head, f"{prefix}/{name}")
        for name in (started.base_branch, branch.branch)
    )


def rescue(world: World, store: Store, rundir: RunDir, run: Traces) -> RescuedRun | None:
    """Keep a run's work; None when it made nothing, or what it stands on is gone."""
    head, started, name = run.work, run.started, rundir.run_id
    folder = world.repo_state / "rescued" / name
    if (rundir.folder / _PATCHES).is_dir():
        shutil.copytree(rundir.folder / _PATCHES, folder / _PATCHES, dirs_exist_ok=True)
    keep_edits(store, rundir, folder)
    if not head or not store.has(f"{head}^{{tree}}"):
        return None
    ref = f"refs/rescued/{name}"
    store.git("update-ref", ref, head)
    atomic.write_bytes(folder / "change.patch", store.patch(started.base, head))
    restore = f"git fetch {_quoted(store.folder)} {ref}:refs/heads/rescued-{name}"
    return RescuedRun(ref=ref, folder=str(folder), restore=restore)


def _quoted(path: Path) -> str:
    text = str(path)
    return f"'{text}'" if " " in text else text
