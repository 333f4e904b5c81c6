"""Whether the base branch has moved since the run began, and whether it still merges."""

import msgspec

from pipeline.core.events import RunStarted
from pipeline.engine.ground.world import World
from pipeline.errors import Problem
from pipeline.repo.git import GitError
from pipeline.repo.store import Store

_NAMED_MAX = 8


class BaseMoved(msgspec.Struct, frozen=True, kw_only=True):
    """Where the base branch stands now; `merges` is None when that could not be found out."""

    branch: str
    tip: str
    ahead: int | None
    merges: bool | None
    conflicts: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Describe it in two sentences."""
        by = "" if self.ahead is None else f" by {self.ahead} commit{'s' * (self.ahead != 1)}"
        moved = f"{self.branch} has moved{by} since this run began, to {self.tip[:12]}."
        if self.merges is None:
            return moved
        if self.merges:
            return f"{moved} It merges cleanly."
        named = ", ".join(self.conflicts[:_NAMED_MAX])
        return f"{moved} The change conflicts with it in: {named}"


def compare_base(world: World, store: Store, started: RunStarted, head: str) -> BaseMoved | None:
    """Compare the base branch, on the remote if there is one, with the run's base.

    None when it stands where it stood, or is gone.

    Fetches its commits without moving any ref of the person's.
    """
    try:
        tip = _tip(world, started)
        if not tip or tip == started.base:
            return None
        if started.remote and not world.user.git.succeeds("cat-file", "-e", f"{tip}^{{commit}}"):
            options = (
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-auto-maintenance",
                "--refmap=",
            )
            world.user.git("fetch", *options, started.remote, f"refs/heads/{started.base_branch}")
        ahead = store.git("rev-list", "--count", f"{started.base}..{tip}")
        if int(ahead) == 0:
            return None
    except Problem:
        return None
    merges, conflicts = _merges(store, tip, head)
    return BaseMoved(
        branch=started.base_branch, tip=tip, ahead=int(ahead), merges=merges, conflicts=conflicts
    )


def _tip(world: World, started: RunStarted) -> str:
    ref = f"refs/heads/{started.base_branch}"
    if started.remote:
        return world.user.git("ls-remote", started.remote, ref).partition("\t")[0]
    return world.user.git("rev-parse", "--verify", "--quiet", ref, ok=(0, 1))


def _merges(store: Store, tip: str, head: str) -> tuple[bool | None, tuple[str, ...]]:
    try:
        done = store.git.run(
            "merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", tip, head, ok=(0, 1)
        )
    except GitError:  # git older than 2.38, or histories without a common commit
        return None, ()
    names = done.stdout.decode("utf-8", "replace").split("\0")[1:]
    return done.returncode == 0, tuple(sorted({name for name in names if name}))
