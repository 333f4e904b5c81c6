"""A person's edits in the middle of a run: what they changed in the folder of `pipeline open`.

The edits become a part of the run when it is taken up the next time, path by path on top of what
the run has become. The folder is then moved aside, never removed: a person may have more in it.
"""

from pathlib import Path

import msgspec

from pipeline.core import values
from pipeline.core.decide import TakeBack
from pipeline.core.events import PersonEdited
from pipeline.core.memory import Status
from pipeline.core.outcomes import RunEnd
from pipeline.core.redact import Redactor
from pipeline.core.state import RunState
from pipeline.engine.ground.record import Record
from pipeline.engine.ground.world import World
from pipeline.engine.running.basis import Bases
from pipeline.engine.running.handed_on import handed_on
from pipeline.engine.running.rerun import record_rerun
from pipeline.errors import UsageProblem
from pipeline.files import atomic
from pipeline.files.failpoints import reached
from pipeline.files.rundir import RunDir
from pipeline.language.flow import GateName
from pipeline.repo.rules import replaced_submodules
from pipeline.repo.store import Store
from pipeline.repo.workspace import Workspace

NAME = "person"
_VERIFYING = {GateName.GREEN, GateName.PROOF, GateName.NOTICED, GateName.UNTAMPERED}
_NAMED_MAX = 8


class OpenedAt(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder was opened at."""

    tree: str
    commit: str


def edit_folder(rundir: RunDir) -> Path:
    """Return the folder in which a person edits a run's tree."""
    return rundir.work / "ws" / NAME


def has_edits(store: Store, rundir: RunDir, redactor: Redactor | None = None) -> bool:
    """Return whether the folder holds anything that is not part of the run yet."""
    workspace = Workspace(edit_folder(rundir), store, redactor=redactor)
    opened, edited = read_edit_folder(workspace, rundir)
    return opened is not None and edited != opened.tree


def take_in_edits(world: World, store: Store, rundir: RunDir, record: Record, bases: Bases) -> None:
    """Make what a person edited a part of the run, and have those look again who verified the tree.

    Nothing is done while stages run that began before: their changes would be held against another
    tree. Raises `UsageProblem`, and leaves the folder as it is, when the run changed the same paths
    otherwise, is published, or something in the folder cannot be committed.
    """
    state = record.state
    event = None if state.agenda.running else _committed(world, store, rundir, state)
    if event is None:
        return
    record.add(event)
    reached("person.recorded")
    put_folder_aside(rundir)
    command = _unverified(state, event) if state.end is None else _failed(state)
    if command is not None:
        record_rerun(store, record, bases, command, world.clock())


def _failed(state: RunState) -> TakeBack | None:
    """Return what lets a failed run go on with a person's edits: the stages that failed."""
    failed = [
        node.id
        for node in state.plan.leaves()
        if node.workflow == state.plan.workflow and state.nodes[node.id].status is Status.FAILED
    ]
    if state.end is not RunEnd.FAILED or not failed:
        return None
    stages = values.closure(state, failed)
    words = f"{', '.join(failed)} again, on what a person edited"
    return TakeBack(tuple(stages), handed_on(state, stages), words)


def _committed(world: World, store: Store, rundir: RunDir, state: RunState) -> PersonEdited | None:
    """Commit what a person edited on top of the run's tree; None when there is nothing new."""
    workspace = Workspace(edit_folder(rundir), store, redactor=world.redactor)
    opened, edited = read_edit_folder(workspace, rundir)
    if opened is None or edited == opened.tree:
        return None
    where, started = workspace.folder, state.started
    if state.effects.branch is not None:
        branch = state.effects.branch.branch
        raise UsageProblem(
            f"run {started.run_id} is published, and edits in {where} came too late",
            f"Put them on its branch: git switch {branch}, copy them, commit, push; "
            f"then remove the folder: rm -r {where}",
        )
    current = state.product.tree or store.tree_of(started.base)
    _require_apart(store, opened.tree, edited, current, where=where, run=started.run_id)
    tree = merge_edits(store, opened.tree, edited, current)
    changes = store.diff(current, tree)
    if not changes:  # it was taken in before a kill, or the run made the same
        put_folder_aside(rundir)
        return None
    author, now = world.user.author(), world.clock()
    message = f"edit by {author.rpartition(' <')[0]}\n\nRun-Id: {started.run_id}\n"
    parent = state.product.commit or started.base
    commit = store.commit(tree, parent, message, author=author, at=now)
    store.set_ref(f"refs/runs/{started.run_id}/persons/{commit[:12]}", commit, "")
    reached("person.committed")
    paths = tuple(change.path for change in changes)
    return PersonEdited(
        at=now, author=author, before=current, tree=tree, commit=commit, changed=paths
    )


def keep_edits(store: Store, rundir: RunDir, target: Path) -> None:
    """Write what was edited and is not part of the run yet as a patch into another folder."""
    opened, edited = read_edit_folder(Workspace(edit_folder(rundir), store), rundir)
    if opened is not None and edited != opened.tree:
        atomic.write_bytes(target / "person.patch", store.patch(opened.tree, edited))


def put_folder_aside(rundir: RunDir) -> None:
    """Make room for the next folder; what was in this one stays beside it."""
    here = edit_folder(rundir)
    taken = (here.with_name(f"{NAME}.{number}") for number in range(1, 10_000))
    here.rename(next(path for path in taken if not path.exists()))
    _opened_file(rundir).unlink(missing_ok=True)


def _unverified(state: RunState, edit: PersonEdited) -> TakeBack | None:
    """Return the stages to repeat because they verified or approved the tree, or None."""
    approved = state.product.approved.items()
    stages = [stage for stage, tree in approved if (tree or edit.before) == edit.before]
    for node in state.plan.leaves():
        memory = state.nodes[node.id]
        is_done = memory.status is Status.DONE and memory.last is not None
        if _VERIFYING & set(node.gates) and is_done and not (memory.last and memory.last.commit):
            stages.append(node.id)
    if not stages:
        return None
    taken = tuple(values.closure(state, stages))
    return TakeBack(taken, (), "a person edited what was looked at")


def merge_edits(store: Store, opened: str, edited: str, current: str) -> str:
    """Return the tree `current` with the paths that were edited as they are in `edited`."""
    if current == opened:
        return edited
    changed = {change.path for change in store.diff(opened, edited)}
    return store.graft_paths(current, edited, changed)


def _require_apart(
    store: Store, opened: str, edited: str, current: str, *, where: Path, run: str
) -> None:
    """Raise `UsageProblem` when run and person changed one path to different content."""
    mine = {change.path: (change.mode, change.blob) for change in store.diff(opened, edited)}
    theirs = {change.path: (change.mode, change.blob) for change in store.diff(opened, current)}
    both = sorted(path for path in mine.keys() & theirs.keys() if mine[path] != theirs[path])
    if both:
        names = ", ".join(both[:_NAMED_MAX])
        raise UsageProblem(
            f"the run changed {names} too since {where} was opened; nothing of yours is lost",
            f"See the run's version: git -C {where} diff {opened} {current} -- {both[0]}\n"
            "Edit yours in that folder until it is what you want, "
            f"then type: pipeline open {run} --mine; pipeline resume {run}",
        )


def read_edit_folder(workspace: Workspace, rundir: RunDir) -> tuple[OpenedAt | None, str]:
    """Return the tree the folder was opened at, and the one in it now. Raises `UsageProblem`."""
    try:
        opened = msgspec.json.decode(_opened_file(rundir).read_bytes(), type=OpenedAt)
    except (OSError, msgspec.DecodeError):
        return None, ""
    if not workspace.folder.is_dir():
        return None, ""
    workspace.resume(opened.tree)
    tree, violations = workspace.snapshot()
    violations += replaced_submodules(workspace.store.diff(opened.tree, tree))
    if violations:
        raise UsageProblem(
            f"{workspace.folder} holds what cannot be committed: "
            + "; ".join(map(str, violations[:5])),
            f"Fix that there, then type: pipeline resume {rundir.run_id}",
        )
    return opened, tree


def remember(rundir: RunDir, opened: OpenedAt) -> None:
    """Write down what the folder was opened at."""
    atomic.write_bytes(_opened_file(rundir), msgspec.json.encode(opened))


def _opened_file(rundir: RunDir) -> Path:
    return edit_folder(rundir).with_name(f"{NAME}.json")
