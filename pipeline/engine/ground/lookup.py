"""Which runs there are, their state, and who works on them. Loads nothing heavy, only reads."""

from pathlib import Path

import msgspec

from pipeline.core.fold import fold
from pipeline.core.state import RunState
from pipeline.core.traces import Traces, traces
from pipeline.engine.ground.world import World
from pipeline.errors import UsageProblem
from pipeline.files import journal, locks
from pipeline.files.rundir import RunDir, hidden_runs, runs_in
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
    root = world.user.root
    shown = runs_in(root)
    return sorted([*shown, *hidden_runs(world.repo_state, root, set(shown))], reverse=True)


def load_state(world: World, name: str) -> RunState:
    """Fold a run's journal without opening it for work."""
    return state_of(require_run(world, name))


def state_of(rundir: RunDir) -> RunState:
    """Fold the journal in a run's folder."""
    return fold(load_plan(rundir.plan), journal.read(rundir.journal))


def load_traces(rundir: RunDir) -> Traces:
    """Tell what a run has made by its journal, as far as it can be read; its plan is not needed.

    Raises `UsageProblem` if not even its first event is there.
    """
    found = traces(journal.read_sound(rundir.journal))
    if found is None:
        raise UsageProblem(
            f"nothing in {rundir.journal} can be read",
            f"Look at it; then remove the folder yourself: rm -r {rundir.folder}",
        )
    return found


def state_elsewhere(world: World, rundir: RunDir) -> Path | None:
    """Return the folder with the state of a run if that is not this process's; else None.

    Raises `UsageProblem` for a run of another checkout, of which this one is a copy.
    """
    if rundir.work.exists():
        return None
    where = Path(load_traces(rundir).started.state_folder or world.repo_state)
    other = RunDir(rundir.root, where, rundir.run_id)
    if not other.work.exists():
        return None
    if (home := other.checkout) != rundir.root and home.exists():
        raise UsageProblem(
            f"run {rundir.run_id} belongs to the checkout {home}, of which this is a copy",
            f"Work on it there: cd {home}; or take the copy away: rm -r {rundir.folder}",
        )
    return where


def no_state(world: World, rundir: RunDir) -> UsageProblem:
    """Return the problem of a run whose working folder is not where this process looks."""
    name = rundir.run_id
    if (where := state_elsewhere(world, rundir)) is not None:
        return UsageProblem(
            f"the state of run {name} lies in {where}, and this process looks in "
            f"{world.repo_state}",
            f"Take that one: PIPELINE_STATE_DIR={where.parent.parent} pipeline resume {name}",
        )
    return UsageProblem(
        f"the working folder {rundir.work} of run {name} is gone",
        f"Remove the run, which keeps what is left of its work: pipeline rollback {name}",
    )


def holder(world: World, name: str) -> locks.LockHolder | None:
    """Return which process works on a run, or None."""
    views = [locks.inspect(path) for path in world.rundir(name).run_locks if path.exists()]
    return next((view.holder for view in views if view.held), None)


def load_plan(path: Path) -> Plan:
    """Read a run's compiled plan. Raises `UsageProblem` when it is gone."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError) as exc:
        raise UsageProblem(
            f"the run's plan {path} cannot be read: {exc}",
            "Start anew, or remove it, which keeps its work: pipeline rollback RUN",
        ) from exc
