"""What the redactor knows in a run: a person's secrets, without those that its base tree holds."""

from collections.abc import Sequence
from functools import partial

from pipeline.core.events import Event
from pipeline.engine.ground.world import World
from pipeline.repo.git import GitError

_EXACT = frozenset({
    "at", "run_id", "workflow", "feature", "base", "base_branch", "author", "cassette", "remote",
    "flow_digest", "tools", "forked_from", "state_folder", "stage", "stages", "loop", "tree",
    "start_tree", "commit", "before", "changed", "formatted", "partly_formatted", "outputs",
    "basis", "branch", "head", "sha",
})  # fmt: skip
"""Fields of events that the run goes on by, letter by letter: no agent chose their words, or the
attempt was refused because of a secret in them."""


def use_base(world: World, commit: str) -> None:
    """Let the redactor know the secrets of this moment, without those that stand in a commit."""
    world.redactor.learn(world.secrets())
    world.redactor.leave_out(partial(_in_commit, world, commit))


def redacted(world: World, event: Event) -> Event:
    """Return an event as it may be written down."""
    return world.redactor.fields(event, _EXACT)


def _in_commit(world: World, commit: str, texts: Sequence[str]) -> set[str]:
    """Return which of some texts stand in a file of a commit."""
    patterns = "\n".join(text for text in texts if "\n" not in text)
    options = ("-F", "-o", "-h", "-a", "--no-color", "--no-line-number", "--no-column", "-f", "-")
    try:
        found = world.user.git(
            "grep",
            *options,
            commit,
            stdin=patterns.encode("utf-8", "surrogateescape"),
            ok=(0, 1),
        )
    except GitError:  # the commit is gone: nothing of it can be called public
        return set()
    return set(found.splitlines())
