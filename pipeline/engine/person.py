"""A person in the middle of a run.

A folder with its newest tree, whose edits become a part of the run.

`pipeline open` makes the folder; what was edited in it is taken in when the run is taken up the
next time, path by path on top of what the run has become. The folder is then put aside, never
removed: a person may have more in it.
"""

from pathlib import Path

import msgspec

from pipeline.core import values
from pipeline.core.decide import TakeBack
from pipeline.core.events import Effect, PersonEdited
from pipeline.core.memory import Status
from pipeline.core.state import RunState
from pipeline.engine.look import load_state, require_run
from pipeline.engine.world import World
from pipeline.errors import UsageProblem
from pipeline.files import atomic
from pipeline.files.failpoints import reached
from pipeline.files.rundir import RunDir
from pipeline.language.flow import GateName
from pipeline.repo.store import Store
from pipeline.repo.workspace import Workspace

NAME = "person"
_VERIFYING = {GateName.GREEN, GateName.PROOF, GateName.UNTAMPERED}
_NAMED_MAX = 8


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder was opened at."""

    tree: str
    commit: str


def folder(rundir: RunDir) -> Path:
    """Say where a person edits a run's tree."""
    return rundir.work / "ws" / NAME


def open_folder(world: World, name: str, *, mine: bool = False) -> tuple[Path, str]:
    """Make the folder, or find it as it was left.

    Return it with a word on how it stands to the run.

    With `mine` the edits in it are put on top of the run's newest tree, before what the run made of
    the same paths. Raises `UsageProblem` when the run is published.
    """
    rundir = require_run(world, name)
    state, store = load_state(world, name), world.store()
    if state.started is None:
        raise UsageProblem(f"run {name} has not begun", f"Type: pipeline resume {name}")
    if branch := state.effects.get(Effect.BRANCH, {}).get("branch"):
        raise UsageProblem(
            f"run {name} is published; its branch is yours to edit",
            f"Type: git switch {branch}; commit and push there",
        )
    newest = Opened(
        tree=state.tree or store.tree_of(state.started.base),
        commit=state.commit or state.started.base,
    )
    workspace = Workspace(folder(rundir), store)
    opened, edited = _edited(workspace, rundir)
    if opened is not None and edited != opened.tree:
        if mine:
            tree = _on_top(store, opened.tree, edited, newest.tree)
            put_aside(rundir)
            workspace.prepare(newest.commit, tree)
            _remember(rundir, newest)
            return folder(rundir), "your edits are on top of the run's newest tree"
        moved = " (the run has moved on since it was opened)" if opened.tree != newest.tree else ""
        return folder(rundir), f"it holds edits that are not taken in yet{moved}"
    if opened is not None and opened != newest:
        put_aside(rundir)
    if opened != newest:
        workspace.prepare(newest.commit, newest.tree)
        _remember(rundir, newest)
    return folder(rundir), "it has the run's newest tree"


def has_edits(store: Store, rundir: RunDir) -> bool:
    """Tell whether the folder holds anything that was not taken in yet."""
    opened, edited = _edited(Workspace(folder(rundir), store), rundir)
    return opened is not None and edited != opened.tree


def take_in(world: World, store: Store, rundir: RunDir, state: RunState) -> PersonEdited | None:
    """Commit what a person edited on top of the run's tree; None when there is nothing new.

    Raises `UsageProblem`, and leaves the folder as it is, when the run changed the same paths
    otherwise, is published, or something in the folder cannot be committed.
    """
    workspace = Workspace(folder(rundir), store)
    opened, edited = _edited(workspace, rundir)
    if opened is None or edited == opened.tree or state.started is None:
        return None
    where, run = folder(rundir), rundir.run_id
    if Effect.BRANCH in state.effects:
        raise UsageProblem(
            f"run {run} is published, and edits in {where} came too late",
            f"Put them on its branch: git switch {state.effects[Effect.BRANCH]['branch']}, copy them, commit, push; "
            f"then remove the folder: rm -r {where}",
        )
    current = state.tree or store.tree_of(state.started.base)
    _require_apart(store, opened.tree, edited, current, where=where, run=run)
    tree = _on_top(store, opened.tree, edited, current)
    changes = store.diff(current, tree)
    if not changes:  # it was taken in before a kill, or the run made the same
        put_aside(rundir)
        return None
    author = world.user.author()
    now = world.clock()
    subject = f"edit by {author.rpartition(' <')[0]}"
    message = f"{subject}\n\nRun-Id: {run}\n"
    commit = store.commit(tree, state.commit or state.started.base, message, author=author, at=now)
    store.set_ref(f"refs/runs/{run}/persons/{commit[:12]}", commit, "")
    reached("person.committed")
    paths = tuple(change.path for change in changes)
    return PersonEdited(
        at=now, author=author, before=current, tree=tree, commit=commit, changed=paths
    )


def keep_edits(store: Store, rundir: RunDir, target: Path) -> None:
    """Write what was edited and not taken in as a patch into another folder."""
    opened, edited = _edited(Workspace(folder(rundir), store), rundir)
    if opened is not None and edited != opened.tree:
        atomic.write_bytes(target / "person.patch", store.patch(opened.tree, edited))


def put_aside(rundir: RunDir) -> None:
    """Make room for the next folder; what was in this one stays beside it."""
    here = folder(rundir)
    number = next(
        number for number in range(1, 10_000) if not here.with_name(f"{NAME}.{number}").exists()
    )
    here.rename(here.with_name(f"{NAME}.{number}"))
    _record(rundir).unlink(missing_ok=True)


def unverified(state: RunState, edit: PersonEdited) -> TakeBack | None:
    """Have those who verified or approved the tree look again, now that it was edited.

    None when nobody did.
    """
    found = [
        stage for stage, tree in state.approved.items() if (tree or edit.before) == edit.before
    ]
    found += [
        node.id
        for node in state.plan.leaves()
        if _VERIFYING & set(node.gates)
        and state.nodes[node.id].status is Status.DONE
        and (last := state.nodes[node.id].last) is not None
        and not last.commit
    ]
    if not found:
        return None
    return TakeBack(tuple(values.closure(state, found)), (), "a person edited what was looked at")


def _on_top(store: Store, opened: str, edited: str, current: str) -> str:
    """Return the tree `current` with the paths that were edited as they are in `edited`."""
    if current == opened:
        return edited
    return store.graft_paths(
        current, edited, {change.path for change in store.diff(opened, edited)}
    )


def _require_apart(
    store: Store, opened: str, edited: str, current: str, *, where: Path, run: str
) -> None:
    """Raise `UsageProblem` when run and person changed one path to different content."""
    mine = {change.path: (change.mode, change.blob) for change in store.diff(opened, edited)}
    theirs = {change.path: (change.mode, change.blob) for change in store.diff(opened, current)}
    both = sorted(path for path in mine.keys() & theirs.keys() if mine[path] != theirs[path])
    if both:
        raise UsageProblem(
            f"the run changed {', '.join(both[:_NAMED_MAX])} too since {where} was opened; nothing of yours is lost",
            f"See the run's version: git -C {where} diff {opened} {current} -- {both[0]}\n"
            f"Edit yours in that folder until it is what you want, then type: pipeline open {run} --mine; "
            f"pipeline resume {run}",
        )


def _edited(workspace: Workspace, rundir: RunDir) -> tuple[Opened | None, str]:
    """Return what the folder was opened at, and the tree that lies in it now.

    Raises `UsageProblem`.
    """
    try:
        opened = msgspec.json.decode(_record(rundir).read_bytes(), type=Opened)
    except (OSError, msgspec.DecodeError):
        return None, ""
    if not workspace.folder.is_dir():
        return None, ""
    workspace.take_up(opened.tree)
    tree, problems = workspace.read()
    if problems:
        raise UsageProblem(
            f"{workspace.folder} holds what cannot be committed: {'; '.join(problems[:5])}",
            f"Mend that there, then type: pipeline resume {rundir.run_id}",
        )
    return opened, tree


def _remember(rundir: RunDir, opened: Opened) -> None:
    atomic.write_bytes(_record(rundir), msgspec.json.encode(opened))


def _record(rundir: RunDir) -> Path:
    return folder(rundir).with_name(f"{NAME}.json")
