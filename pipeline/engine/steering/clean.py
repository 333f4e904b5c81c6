"""Taking away runs that are over for longer than they are kept, and nothing that anyone needs."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import msgspec

from pipeline.core.state import RunState
from pipeline.engine.ground.lookup import holder, load_state, load_traces, no_state, run_ids
from pipeline.engine.ground.record import exclusive
from pipeline.engine.ground.world import World
from pipeline.engine.running import edits
from pipeline.engine.steering.rescue import RescuedRun, exists_elsewhere, rescue
from pipeline.errors import Problem
from pipeline.files.rundir import LATEST, LOCKS, PLANS, RUNS, RunDir
from pipeline.files.trees import files_below, remove
from pipeline.ids import is_run_id
from pipeline.repo import objects
from pipeline.repo.store import Store


class RemovedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run that was (or would be) taken away."""

    run_id: str
    size_bytes: int
    rescued: RescuedRun | None = None


class KeptRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run that stays, and why."""

    run_id: str
    reason: str


class CleanupResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a clean-up did, or would do."""

    removed: tuple[RemovedRun, ...] = ()
    kept: tuple[KeptRun, ...] = ()


def clean(world: World, older_than_s: float, *, dry: bool) -> CleanupResult:
    """Remove this checkout's older finished runs, and working folders that belong to no run."""
    removed: list[RemovedRun] = []
    kept: list[KeptRun] = []
    for name in run_ids(world):
        try:
            done = _clean_run(world, name, older_than_s, dry=dry)
        except Problem as exc:
            done = KeptRun(run_id=name, reason=exc.what)
        if isinstance(done, RemovedRun):
            removed.append(done)
        else:
            kept.append(done)
    for folder in _orphans(world, older_than_s):
        removed.append(RemovedRun(run_id=folder.name, size_bytes=_size_bytes(folder)))
        if not dry:
            remove(folder)
    if removed and not dry:
        _repack(world.store())
        objects.link_objects(
            world.user.objects, world.store().folder / "objects"
        )  # a repack lets go of what is borrowed too
    return CleanupResult(removed=tuple(removed), kept=tuple(kept))


def automatic(world: World) -> Iterator[str]:
    """Clean up at the start of a run, if that is wanted; yield lines that say what was removed."""
    if not world.settings.auto_cleanup:
        return
    try:
        done = clean(world, world.settings.retention_s, dry=False)
    except (Problem, OSError) as exc:
        yield f"old runs could not be removed: {exc}"
        return
    if done.removed:
        rescued = [one.run_id for one in done.removed if one.rescued is not None]
        kept_in = world.repo_state / "rescued"
        where = f"; unpublished work of {', '.join(rescued)} is kept in {kept_in}"
        size = f"{_megabytes(done.removed)} MB"
        runs = f"removed {len(done.removed)} run(s) that ended long ago ({size})"
        yield runs + (where if rescued else "")


def _clean_run(world: World, name: str, older_than_s: float, *, dry: bool) -> RemovedRun | KeptRun:
    rundir = world.rundir(name)
    if why := _is_young(world, rundir.journal, older_than_s):
        return KeptRun(run_id=name, reason=why)
    if not rundir.kept_plan.exists():
        return KeptRun(run_id=name, reason=no_state(world, rundir).what)
    state, run = load_state(world, name), load_traces(rundir)
    if why := _stays(world, rundir, state, older_than_s):
        return KeptRun(run_id=name, reason=why)
    size_bytes = _size_bytes(rundir.folder) + _size_bytes(rundir.work)
    if dry:
        return RemovedRun(run_id=name, size_bytes=size_bytes)
    with exclusive(world, rundir):
        store = world.store()
        is_safe = bool(run.work) and exists_elsewhere(world, run)
        rescued = None if is_safe else rescue(world, store, rundir, run)
        remove_run(world, store, rundir, run.effects.branches)
    remove_locks(world, name)
    return RemovedRun(run_id=name, size_bytes=size_bytes, rescued=rescued)


def remove_run(world: World, store: Store, rundir: RunDir, branches: Iterable[str]) -> None:
    """Remove a run's refs and folders, and its branches in the store; what it published stays."""
    name = rundir.run_id
    for ref in store.refs_below(f"refs/runs/{name}/"):
        store.delete_ref(ref)
    for branch in branches:
        store.delete_ref(f"refs/heads/{branch}")
    for folder in (world.user.root / PLANS / name, rundir.work, rundir.folder):
        remove(folder)


def remove_locks(world: World, name: str) -> None:
    """Remove the lock files of a run that is gone."""
    for folder in (world.user.root / LOCKS, world.rundir(name).lock_folder):
        for path in folder.glob(f"*.{name}.lock"):
            path.unlink(missing_ok=True)


def _is_young(world: World, journal: Path, older_than_s: float) -> str:
    """Return why a run is too recent to remove; reads one time stamp only."""
    age_s = world.clock().timestamp() - journal.stat().st_mtime
    return "" if age_s >= older_than_s else "it was worked on lately"


def _stays(world: World, rundir: RunDir, state: RunState, older_than_s: float) -> str:
    """Return why a run stays; empty when it can be removed."""
    link = world.user.root / LATEST
    if link.is_symlink() and link.readlink().name == rundir.run_id:
        return f"{LATEST} points to it"
    if state.end is None or state.finished_at is None:
        return f"it is not over: pipeline resume {rundir.run_id}"
    if (who := holder(world, rundir.run_id)) is not None:
        return f"process {who.pid} works on it"
    if state.finished_at > world.clock() - timedelta(seconds=older_than_s):
        return "it was over only lately"
    if edits.has_edits(world.store(), rundir):
        return (
            f"somebody's edits lie in {edits.edit_folder(rundir)}: pipeline resume {rundir.run_id}"
        )
    return ""


def _orphans(world: World, older_than_s: float) -> Iterator[Path]:
    """Go through working folders whose run is gone from every checkout of the repository."""
    base = world.repo_state / "runs"
    if not base.is_dir():
        return
    lines = world.user.git("worktree", "list", "--porcelain").splitlines()
    roots = [Path(line.removeprefix("worktree ")) for line in lines if line.startswith("worktree ")]
    if "bare" not in lines[:3] and not (roots[0] / ".git").exists():
        return  # git does not know where the main checkout is: its git folder lies elsewhere
    for folder in sorted(base.iterdir()):
        known = any((root / RUNS / folder.name).exists() for root in roots)
        young = world.clock().timestamp() - folder.stat().st_mtime < older_than_s
        if (
            is_run_id(folder.name)
            and not known
            and not young
            and not (folder / "ws" / edits.NAME).exists()
        ):
            yield folder


def _repack(store: Store) -> None:
    """Let go of packs the user's repository dropped, keeping what is still needed."""
    if any(
        path.stat().st_nlink == 1 for path in (store.folder / "objects" / "pack").glob("*.pack")
    ):
        store.git("repack", "-a", "-d", "-l", "-q")


def _size_bytes(folder: Path) -> int:
    return sum((folder / name).lstat().st_size for name in files_below(folder))


def _megabytes(removed: list[RemovedRun] | tuple[RemovedRun, ...]) -> str:
    return f"{sum(one.size_bytes for one in removed) / 1e6:.1f}"
