"""Taking back what a run made: only what is still as the run made it."""

from contextlib import suppress

import msgspec

from pipeline.core.state import RunState
from pipeline.engine.ground.lookup import holder, load_state, require_run
from pipeline.engine.ground.record import exclusive
from pipeline.engine.ground.world import World
from pipeline.engine.running.edits import keep_edits
from pipeline.engine.steering import rescue
from pipeline.engine.steering.clean import remove_locks, remove_run
from pipeline.errors import Busy, Problem
from pipeline.files.rundir import LATEST
from pipeline.forges.local import LocalForge, folder_for
from pipeline.process import launch
from pipeline.repo import pool


def roll_back(world: World, name: str) -> list[str]:
    """Remove a run's branch, pull request, folders and refs; leave what somebody else touched.

    Return what was done.
    """
    rundir = require_run(world, name)
    if (who := holder(world, name)) is not None:
        raise Busy(
            f"run {name} is being worked on by process {who.pid}",
            f"End it first: pipeline cancel {name}",
        )
    done: list[str] = []
    with exclusive(world, rundir):
        state = load_state(world, name)
        for stage, attempt in state.agenda.running.items():
            launch.end_orphan(rundir.attempt(stage, attempt))
        store = world.store()
        kept = world.repo_state / "rescued" / name
        keep_edits(store, rundir, kept)
        if (
            not _is_merged(world, state)
            and (found := rescue.rescue(world, store, rundir, state)) is not None
        ):
            done.append(str(found))
        elif kept.is_dir():
            done.append(f"what was edited or refused is kept in {kept}")
        made = state.effects.branch or state.effects.intended_push
        if made is not None:
            done += _remove_branch(world, state, made.branch, made.head)
        link = world.user.root / LATEST
        if link.is_symlink() and link.readlink().name == name:
            link.unlink()
            done.append("docs/status/latest no longer points to it")
        pool.remove_workspaces_of(rundir.workspaces, name)
        remove_run(world, store, rundir, state)
        done.append(f"removed {rundir.folder} and its workspaces")
    remove_locks(world, name)
    return done


def _is_merged(world: World, state: RunState) -> bool:
    """Return whether the base branch has the run's work, as far as is known here."""
    started = state.started
    if not (head := rescue.work_of(state)):
        return False
    base = (
        f"refs/remotes/{started.remote}/{started.base_branch}"
        if started.remote
        else f"refs/heads/{started.base_branch}"
    )
    return world.user.git.succeeds("merge-base", "--is-ancestor", head, base)


def _remove_branch(world: World, state: RunState, branch: str, head: str) -> list[str]:
    """Remove the run's branch where it still is what the run made, and close its pull request."""
    done: list[str] = []
    git, ref = world.user.git, f"refs/heads/{branch}"
    remote = state.started.remote
    folder = folder_for(world.user.remote_url(remote), world.user.root, world.repo_state)
    pull = LocalForge(folder).find(branch)
    if pull is not None and pull.state == "open":
        LocalForge(folder).save(msgspec.structs.replace(pull, state="closed"))
        done.append(f"closed pull request {pull.number}")
    if remote and (there := git("ls-remote", remote, ref, ok=(0, 2, 128)).partition("\t")[0]):
        if there == head and (pull is None or pull.state != "merged"):
            git("push", "--no-verify", f"--force-with-lease={ref}:{head}", remote, f":{ref}")
            done.append(f"deleted {branch} on {remote}")
        else:
            why = (
                "its pull request is merged"
                if pull is not None and pull.state == "merged"
                else "somebody pushed to it"
            )
            done.append(f"left {branch} on {remote}: {why}")
    if found := git("rev-parse", "--verify", "--quiet", ref, ok=(0, 1)):
        checked_out = f"branch {ref}" in git("worktree", "list", "--porcelain").splitlines()
        if found == head and not checked_out:
            git("update-ref", "-d", ref, head)
            done.append(f"deleted {branch}")
        else:
            why = "it is checked out" if checked_out else "somebody committed to it"
            done.append(f"left {branch}: {why}")
    with suppress(Problem):
        world.store().git("update-ref", "-d", ref, head)
    return done
