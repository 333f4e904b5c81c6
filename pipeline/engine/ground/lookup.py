"""Which runs there are, their state, and who works on them. Loads nothing heavy, only reads."""

from pathlib import Path

import msgspec

from pipeline.core.fold import fold
from pipeline.core.state import RunState
from pipeline.engine.ground.world import World
from pipeline.errors import UsageProblem
from pipeline.files import journal, locks
from pipeline.files.rundir import RUNS, RunDir
from pipeline.ids import is_run_id
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


NEWEST = "latest"
"""The name that stands for the newest run."""


def run_named(world: World, word: str) -> str:
    """Return the id of the run that a word means: its id, a unique beginning, or the newest's name.

    An empty word means the newest, too. Raises `UsageProblem` if there is none, or more than one.
    """
    known = run_ids(world)
    if word in {"", NEWEST}:
        if not known:
            raise UsageProblem(
                "there is no run yet", 'Start one: trigger_workflow idea_to_feature "..."'
            )
        return known[0]
    found = [name for name in known if name.startswith(word)]
    if len(found) > 1 and word not in found:
        raise UsageProblem(
            f"{len(found)} runs begin with {word}", f"The newest is {found[0]}; all: pipeline list"
        )
    return word if word in found or not found else found[0]


def run_ids(world: World) -> list[str]:
    """List the runs of this checkout, the newest first."""
    folder = world.user.root / RUNS
    journals = folder.glob(f"*/{journal.NAME}") if folder.is_dir() else ()
    names = [path.parent.name for path in journals]
    return sorted((name for name in names if is_run_id(name)), reverse=True)


def load_state(world: World, name: str) -> RunState:
    """Fold a run's journal without opening it for work."""
    return state_of(require_run(world, name))


def state_of(rundir: RunDir) -> RunState:
    """Fold the journal in a run's folder."""
    return fold(load_plan(rundir.plan), journal.read(rundir.journal))


def holder(world: World, name: str) -> locks.LockHolder | None:
    """Return which process works on a run, or None."""
    path = world.rundir(name).run_lock
    if not path.exists():
        return None
    view = locks.inspect(path)
    return view.holder if view.held else None


def load_plan(path: Path) -> Plan:
    """Read a run's compiled plan. Raises `UsageProblem` when it is gone."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError) as exc:
        raise UsageProblem(
            f"the run's plan {path} cannot be read: {exc}",
            "Its working folder is gone or damaged; "
            "start anew, or remove it: pipeline rollback RUN",
        ) from exc
