"""A stage's accepted change as a commit in the store, under a ref that is made once and never moved."""

from datetime import timedelta

from pipeline.core.events import RunStarted
from pipeline.engine.stage import Task
from pipeline.repo.store import Store


def stage_commit(store: Store, started: RunStarted, task: Task, agent: str, tree: str, parent: str) -> str:
    """Commit a tree on top of `parent` (the run's base, if empty); a replay makes the same commit."""
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
    """Name the ref of an accepted attempt: made once, so that a late second result of it is refused."""
    return f"refs/runs/{run_id}/stages/{task.node.id.replace(':', '.')}/{task.attempt}"
