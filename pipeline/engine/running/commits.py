"""A stage's accepted change as a commit in the store, under a ref that never moves."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from pipeline.core.decide import TakeBack
from pipeline.core.events import Event, PersonEdited, RunStarted, StageFinished, TakenBack
from pipeline.core.outcomes import Outcome
from pipeline.core.state import RunState
from pipeline.engine.running.task import Task
from pipeline.repo.store import Store


def stage_commit(
    store: Store, started: RunStarted, task: Task, agent: str, tree: str, parent: str
) -> str:
    """Commit a tree on `parent` (the run's base, if empty); a replay makes the same commit."""
    player = task.node.player
    trailers = {
        "Run-Id": started.run_id,
        "Stage": task.node.id,
        "Agent": agent,
        "Model": player.model if player is not None else "",
    }
    lines = "\n".join(f"{name}: {value}" for name, value in trailers.items() if value)
    message = f"{task.node.id}, attempt {task.attempt}\n\n{lines}\n"
    at = started.at + timedelta(seconds=task.attempt)
    return store.commit(tree, parent or started.base, message, author=started.author, at=at)


def stage_ref(run_id: str, task: Task) -> str:
    """Name the ref of an accepted attempt: made once, so that a late second result is refused."""
    return f"refs/runs/{run_id}/stages/{task.node.id.replace(':', '.')}/{task.attempt}"


def recompose(
    store: Store, events: Iterable[Event], state: RunState, command: TakeBack, now: datetime
) -> TakenBack:
    """Rebuild the run's tree without some stages' changes, path by path from those that stay.

    That is exact: a stage that stays wrote its paths before those taken back, or where they may not
    write, or under a lock they share; and of two that share a lock the later one is taken back with
    the earlier.
    """
    started = state.started
    tree, kept = store.tree_of(started.base), _kept(events, set(command.stages))
    for event in kept:
        tree = store.graft_paths(tree, event.tree, set(event.changed))
    commit = ""
    if kept:
        message = f"Without {', '.join(command.stages[:5])}\n\nRun-Id: {started.run_id}\n"
        commit = store.commit(tree, started.base, message, author=started.author, at=started.at)
        store.set_ref(f"refs/runs/{started.run_id}/recomposed/{commit[:12]}", commit, "")
    return TakenBack(
        at=now,
        stages=command.stages,
        reason=command.reason,
        tree=tree if kept else "",
        commit=commit,
        feedback=command.feedback,
    )


def _kept(events: Iterable[Event], gone: set[str]) -> list[StageFinished | PersonEdited]:
    """List the changes that stay, in order; what a person edited always stays."""
    kept: list[StageFinished | PersonEdited] = []
    for event in events:
        match event:
            case TakenBack(stages=stages):
                kept = [
                    one for one in kept if isinstance(one, PersonEdited) or one.stage not in stages
                ]
            case PersonEdited():
                kept.append(event)
            case StageFinished(outcome=Outcome.DONE) if event.commit:
                kept.append(event)
            case _:
                pass
    return [event for event in kept if isinstance(event, PersonEdited) or event.stage not in gone]
