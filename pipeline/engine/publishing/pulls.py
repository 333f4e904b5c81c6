"""Looking at and merging the local forge's pull requests."""

from pathlib import Path

import msgspec

from pipeline.engine.ground.forge import forge
from pipeline.engine.ground.world import World
from pipeline.errors import NothingToDo, UsageProblem
from pipeline.forges.local import LocalForge, PullRequest, newest_first
from pipeline.repo.git import GitError
from pipeline.repo.store import Store

_FETCHED = "refs/pulls"


def numbered(known: LocalForge, number: int | None) -> PullRequest:
    """Return a pull request by its number, the newest without one. Raises `UsageProblem`."""
    if number is not None:
        return known.get(number)
    listed = newest_first(known.list())
    if not listed:
        raise UsageProblem("there is no pull request yet", "See the runs: pipeline list")
    return listed[0]


def close(known: LocalForge, number: int) -> PullRequest:
    """Close a pull request without merging it. Raises `NothingToDo` if it is not open."""
    pull = known.get(number)
    if pull.state != "open":
        raise NothingToDo(f"pull request {number} is {pull.state}")
    closed = msgspec.structs.replace(pull, state="closed")
    known.save(closed)
    return closed


def diff(world: World, pull: PullRequest, *, stat: bool = False) -> bytes:
    """Return the change of a pull request, from where it left its base; with `stat` a summary."""
    store, base, head = _sides(world, pull)
    fork = store.git("merge-base", base, head)
    form = "--stat=100" if stat else "-p"
    return store.git.raw("diff-tree", "-r", form, "--no-ext-diff", "--no-textconv", fork, head)


def merge(world: World, pull: PullRequest) -> str:
    """Merge into the base branch on the remote by one merge commit; return its hash.

    Raises `NothingToDo` when it is merged, `UsageProblem` without a remote, or on a conflict.
    """
    if pull.state != "open":
        raise NothingToDo(f"pull request {pull.number} is {pull.state}")
    remote = world.user.remote()
    if not remote:
        raise UsageProblem(
            "there is no remote to merge on", f"Merge it here: git merge {pull.head}"
        )
    store, base, head = _sides(world, pull)
    try:
        tree = store.git("merge-tree", "--write-tree", base, head).splitlines()[0]
    except GitError as exc:
        raise UsageProblem(
            f"pull request {pull.number} conflicts with {pull.base}",
            f"Resolve it by hand: git switch {pull.head} && git merge {remote}/{pull.base}",
        ) from exc
    message = f"Merge pull request {pull.number}: {pull.title}\n\nRun-Id: {pull.run_id}\n"
    commit = _merge_commit(world, store, tree, base, head, message)
    ref = f"refs/heads/{pull.base}"
    world.user.git(
        "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", str(store.folder), commit
    )
    world.user.git(
        "push",
        "--quiet",
        "--no-verify",
        f"--force-with-lease={ref}:{base}",
        remote,
        f"{commit}:{ref}",
    )
    forge(world).save(
        msgspec.structs.replace(pull, state="merged", merge_commit=commit, draft=False)
    )
    return commit


def _merge_commit(world: World, store: Store, tree: str, base: str, head: str, message: str) -> str:
    first = store.commit(
        tree, base, message, author=world.user.author(), at=world.clock(), other_parent=head
    )
    store.set_ref(f"{_FETCHED}/merge-{first[:12]}", first, "")
    return first


def _sides(world: World, pull: PullRequest) -> tuple[Store, str, str]:
    """Bring base and head as they are on the remote into the store; return both commits."""
    store, remote = world.store(), world.user.remote()
    if not remote:
        return (
            store,
            pull_base(world, pull),
            store.ref(f"refs/heads/{pull.head}") or pull.head_commit,
        )
    git = world.user.git
    commits = {}
    for side in (pull.base, pull.head):
        commits[side] = git("ls-remote", remote, f"refs/heads/{side}").partition("\t")[0]
        if not commits[side]:
            raise UsageProblem(
                f"{remote} has no branch {side}",
                f"See pull request {pull.number}: {Path(pull.url).name}",
            )
        if not git.succeeds("cat-file", "-e", commits[side]):
            git("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", remote, commits[side])
    return store, commits[pull.base], commits[pull.head]


def pull_base(world: World, pull: PullRequest) -> str:
    """Return the base branch's commit in the user's repository."""
    return world.user.git("rev-parse", f"refs/heads/{pull.base}")
