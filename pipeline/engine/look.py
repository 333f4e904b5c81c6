"""Looking at runs: which there are, where they stand, who works on them. Loads nothing heavy."""

from pathlib import Path

import msgspec

from pipeline.core.state import RunState, fold
from pipeline.engine.result import Result, result
from pipeline.engine.world import World
from pipeline.errors import UsageProblem
from pipeline.files import journal, locks
from pipeline.files.rundir import RUNS, RunDir
from pipeline.ids import is_run_id, lock_file_name
from pipeline.language.diagnostics import did_you_mean
from pipeline.language.plan import Plan


def require_run(world: World, name: str) -> RunDir:
    """Return a run's folders. Raises `UsageProblem` when there is no such run."""
    rundir = world.rundir(name)
    if not is_run_id(name) or not rundir.exists:
        known = run_ids(world)
        near = did_you_mean(name, known[:20]) if known else "there is none yet"
        raise UsageProblem(f"there is no run {name}", f"{near}\nAll runs: pipeline list")
    return rundir


def run_ids(world: World) -> list[str]:
    """List the runs of this checkout, the newest first."""
    folder = world.user.root / RUNS
    names = (
        [path.parent.name for path in folder.glob(f"*/{journal.NAME}")] if folder.is_dir() else []
    )
    return sorted((name for name in names if is_run_id(name)), reverse=True)


def load_state(world: World, name: str) -> RunState:
    """Fold a run's journal without opening it for work."""
    rundir = require_run(world, name)
    return fold(load_plan(rundir.plan), journal.read(rundir.journal))


def load_result(world: World, name: str) -> Result:
    """Make the result object of a run as it stands now."""
    rundir = require_run(world, name)
    return result(
        load_state(world, name),
        run_dir=rundir.folder,
        workspaces=rundir.workspaces,
        now=world.clock(),
        alive=holder(world, name) is not None,
    )


def holder(world: World, name: str) -> locks.Holder | None:
    """Say which process works on a run, or None."""
    path = world.rundir(name).lock(lock_file_name("run", name))
    if not path.exists():
        return None
    view = locks.look(path)
    return view.holder if view.held else None


def load_plan(path: Path) -> Plan:
    """Read a run's compiled plan. Raises `UsageProblem` when it is gone."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError) as exc:
        raise UsageProblem(
            f"the run's plan {path} cannot be read: {exc}",
            "Its working folder is gone or damaged; start anew, or remove it: pipeline rollback RUN",
        ) from exc
