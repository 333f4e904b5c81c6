"""A folder with a run's newest tree for a person to edit; `running/edits` takes edits in."""

from pathlib import Path

from pipeline.engine.ground.lookup import load_state, require_run
from pipeline.engine.ground.world import World
from pipeline.engine.running.edits import (
    OpenedAt,
    edit_folder,
    merge_edits,
    put_folder_aside,
    read_edit_folder,
    remember,
)
from pipeline.errors import UsageProblem
from pipeline.repo.workspace import Workspace


def open_folder(world: World, name: str, *, mine: bool = False) -> tuple[Path, str]:
    """Make the folder, or find it as it was left; return it with how it stands to the run.

    With `mine` the edits in it are put on top of the run's newest tree, before what the run made of
    the same paths. Raises `UsageProblem` when the run is published.
    """
    rundir = require_run(world, name)
    state, store = load_state(world, name), world.store()
    if state.effects.branch is not None:
        branch = state.effects.branch.branch
        raise UsageProblem(
            f"run {name} is published; its branch is yours to edit",
            f"Type: git switch {branch}; commit and push there",
        )
    newest = OpenedAt(
        tree=state.product.tree or store.tree_of(state.started.base),
        commit=state.product.commit or state.started.base,
    )
    folder = edit_folder(rundir)
    workspace = Workspace(folder, store)
    opened, edited = read_edit_folder(workspace, rundir)
    if opened is not None and edited != opened.tree:
        if mine:
            tree = merge_edits(store, opened.tree, edited, newest.tree)
            put_folder_aside(rundir)
            workspace.prepare(newest.commit, tree)
            remember(rundir, newest)
            return folder, "your edits are on top of the run's newest tree"
        moved = " (the run has moved on since it was opened)" if opened.tree != newest.tree else ""
        return folder, f"it holds edits that are not part of the run yet{moved}"
    if opened is not None and opened != newest:
        put_folder_aside(rundir)
    if opened != newest:
        workspace.prepare(newest.commit, newest.tree)
        remember(rundir, newest)
    return folder, "it has the run's newest tree"
