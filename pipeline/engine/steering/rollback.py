"""Taking back what a run made: only what is still as the run made it."""

from contextlib import suppress

import msgspec

from pipeline.core.effects import BranchEffect
from pipeline.core.traces import Traces
from pipeline.engine.ground.lookup import holder, load_traces, require_run, state_elsewhere
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
from pipeline.repo.store import Store


def roll_back(world: World, name: str) -> list[str]:
    """Remove a run's branch, pull request, folders and refs; leave what somebody else touched.

    Return what was done.
    """
    rundir = require_run(world, name)
    if (where := state_elsewhere(world, rundir)) is not None:
        world = msgspec.structs.replace(world, repo_state=where)
        rundir = world.rundir(name)
    if (who := holder(world, name)) is not None:
        raise Busy(
            f"run {name} is being worked on by process {who.pid}",
            f"End it first: pipeline cancel {name}",
        )
    done: list[str] = []
    with exclusive(world, rundir):
        run = load_traces(rundir)
        for stage, attempt in run.running.items():
            launch.end_orphan(rundir.attempt(stage, attempt))
        store = world.store()
        _add_branch_of_store(store, run)
        kept = world.repo_state / "rescued" / name
        keep_edits(store, rundir, kept)
        if (
            not _is_merged(world, run)
            and (found := rescue.rescue(world, store, rundir, run)) is not None
        ):
            done.append(str(found))
        elif kept.is_dir():
            done.append(f"what was edited or refused is kept in {kept}")
        made = run.effects.branch or run.effects.intended_push
        if made is not None:
            done += _remove_branch(world, run, made.branch, made.head)
        link = world.user.root / LATEST
        if link.is_symlink() and link.readlink().name == name:
            link.unlink()
            done.append("docs/status/latest no longer points to it")
        pool.remove_workspaces_of(rundir.workspaces, name)
        remove_run(world, store, rundir, run.effects.branches)
        done.append(f"removed {rundir.folder} and its workspaces")
    remove_locks(world, name)
    return done


def _add_branch_of_store(store: Store, run: Traces) -> None:
    """Add the branch that the store has of the run, if its journal can be read only up to there."""
    if run.effects.branch is not None:
        return
    for ref in store.refs_below("refs/heads/"):
        if ref.endswith(f"-{run.started.run_id}"):
            name = ref.removeprefix("refs/heads/")
            run.effects.see(1, BranchEffect(branch=name, head=store.ref(ref)))


def _is_merged(world: World, run: Traces) -> bool:
    """Return whether the base branch has the run's work, as far as is known here."""
    started = run.started
    if not (head := run.work):
        return False
    base = (
        f"refs/remotes/{started.remote}/{started.base_branch}"
        if started.remote
        else f"refs/heads/{started.base_branch}"
    )
    return world.user.git.succeeds("merge-base", "--is-ancestor", head, base)


def _remove_branch(world: World, run: Traces, branch: str, head: str) -> list[str]:
    """Remove the run's branch where it still is what the run made, and close its pull request.

    A pull request whose branch holds what somebody else pushed or committed stays as it is.
    """
    git, ref = world.user.git, f"refs/heads/{branch}"
    remote = run.started.remote
    forge = LocalForge(folder_for(world.user.remote_url(remote), world.user.root, world.repo_state))
    pull = forge.find(branch)
    there = git("ls-remote", remote, ref, ok=(0, 2, 128)).partition("\t")[0] if remote else ""
    here = git("rev-parse", "--verify", "--quiet", ref, ok=(0, 1))
    is_touched = any(commit not in {"", head} for commit in (there, here))
    done: list[str] = []
    if pull is not None and pull.state == "open" and is_touched:
        done.append(f"left pull request {pull.number}: its branch has commits of somebody else")
    elif pull is not None and pull.state == "open":
        forge.save(msgspec.structs.replace(pull, state="closed"))
        done.append(f"closed pull request {pull.number}")
    if there:
        if there == head and not is_touched and (pull is None or pull.state != "merged"):
            git("push", "--no-verify", f"--force-with-lease={ref}:{head}", remote, f":{ref}")
            done.append(f"deleted {branch} on {remote}")
        else:
            why = "somebody pushed to it" if there != head else "somebody committed to it here"
            if pull is not None and pull.state == "merged":
                why = "its pull request is merged"
            done.append(f"left {branch} on {remote}: {why}")
    if here:
        checked_out = f"branch {ref}" in git("worktree", "list", "--porcelain").splitlines()
        if here == head and not checked_out:
            git("update-ref", "-d", ref, head)
            done.append(f"deleted {branch}")
        else:
            why = "it is checked out" if checked_out else "somebody committed to it"
            done.append(f"left {branch}: {why}")
    with suppress(Problem):
        world.store().git("update-ref", "-d", ref, head)
    return done
