"""Ending a run, and taking back what it made: only what is still as the run made it."""

from contextlib import suppress

import msgspec

from pipeline.core.events import (
    CancelRequested,
    Effect,
    Outcome,
    RunEnd,
    RunFinished,
    StageCancelled,
    StageFinished,
)
from pipeline.core.memory import Status
from pipeline.core.state import RunState, fold
from pipeline.engine import inbox, person, rescue
from pipeline.engine.clean import remove_locks, take_away
from pipeline.engine.look import holder, load_plan, load_state, require_run
from pipeline.engine.open import exclusive, open_journal
from pipeline.engine.world import World
from pipeline.errors import Busy, NothingToDo, Problem, UsageProblem
from pipeline.files.rundir import LATEST
from pipeline.forges.local import LocalForge, folder_for
from pipeline.process import launch
from pipeline.repo import pool


def cancel(world: World, name: str, reason: str) -> str:
    """Ask for the end of a run; end it here when nobody works on it.

    Return what was done, in words.
    """
    rundir = require_run(world, name)
    if (end := load_state(world, name).end) is not None:
        raise NothingToDo(f"run {name} is over already: {end.value}")
    now = world.clock()
    asked = inbox.post(world, name, CancelRequested(at=now, reason=reason))
    if holder(world, name) is not None:
        return f"asked for the end of run {name}: {asked}"
    with exclusive(world, rundir), open_journal(rundir) as opened:
        ended = []
        for stage, attempt in fold(load_plan(rundir.plan), opened.events).running.items():
            launch.end_orphan(rundir.attempt(stage, attempt))
            ended.append(
                StageFinished(
                    at=now, stage=stage, attempt=attempt, outcome=Outcome.CANCELLED, reason=reason
                )
            )
        opened.append(
            [*ended, RunFinished(at=now, end=RunEnd.CANCELLED, reason=reason)], durable=True
        )
    return f"run {name} is cancelled"


def cancel_stage(world: World, name: str, stage: str, reason: str) -> str:
    """Ask for the end of one stage; the run then fails, or goes on if the flow says so.

    Return what was done.
    """
    state = load_state(world, name)
    memory = state.nodes[stage]
    if state.end is not None or memory.over or memory.status in {Status.FAILED, Status.CANCELLED}:
        raise NothingToDo(f"{stage} of run {name} is over: {memory.status.value}")
    if stage not in state.running and (
        state.stopped or state.plan.nodes[stage].workflow != state.active
    ):
        raise NothingToDo(
            f"{stage} of run {name} will not be started any more",
            f"See why: pipeline explain {name}",
        )
    if not state.plan.nodes[stage].is_leaf:
        inside = [node.id for node in state.below(stage) if node.is_leaf]
        raise UsageProblem(
            f"{stage} is a group", f"Name a stage inside it: {', '.join(inside[:8])}"
        )
    return f"{stage}: cancel {inbox.post(world, name, StageCancelled(at=world.clock(), stage=stage, reason=reason))}"


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
        for stage, attempt in state.running.items():
            launch.end_orphan(rundir.attempt(stage, attempt))
        store = world.store()
        kept = world.repo_state / "rescued" / name
        person.keep_edits(store, rundir, kept)
        if (
            not _is_merged(world, state)
            and (found := rescue.rescue(world, store, rundir, state)) is not None
        ):
            done.append(str(found))
        elif kept.is_dir():
            done.append(f"what was edited or refused is kept in {kept}")
        detail = {**state.intended.get(Effect.PUSH, {}), **state.effects.get(Effect.BRANCH, {})}
        if detail.get("branch") and detail.get("head"):
            done += _remove_branch(world, state, detail["branch"], detail["head"])
        link = world.user.root / LATEST
        if link.is_symlink() and link.readlink().name == name:
            link.unlink()
            done.append("docs/status/latest no longer points to it")
        pool.forget(rundir.workspaces, name)
        take_away(world, store, rundir, state)
        done.append(f"removed {rundir.folder} and its workspaces")
    remove_locks(world, name)
    return done


def _is_merged(world: World, state: RunState) -> bool:
    """Tell whether the base branch has the run's work, as far as is known here."""
    started = state.started
    if started is None or not (head := rescue.work_of(state)):
        return False
    base = (
        f"refs/remotes/{started.remote}/{started.base_branch}"
        if started.remote
        else f"refs/heads/{started.base_branch}"
    )
    return world.user.git.works("merge-base", "--is-ancestor", head, base)


def _remove_branch(world: World, state: RunState, branch: str, head: str) -> list[str]:
    """Remove the run's branch where it still is what the run made, and close its pull request."""
    done: list[str] = []
    git, ref = world.user.git, f"refs/heads/{branch}"
    remote = state.started.remote if state.started else ""
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
