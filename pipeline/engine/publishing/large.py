"""Git LFS on the way out.

The objects that a branch points to are handed over before the branch is pushed.
"""

import os
import shutil
from contextlib import suppress

from pipeline.core.excerpt import excerpt
from pipeline.engine.ground.world import World
from pipeline.errors import UsageProblem
from pipeline.repo.filters import lfs_object_id, lfs_object_path
from pipeline.repo.git import GitError
from pipeline.repo.store import Store

_POINTER_MAX_BYTES = 1024


def push_lfs_objects(
    world: World, store: Store, base: str, head: str, remote: str, run_id: str
) -> None:
    """Put the objects of changed LFS files into the person's LFS storage, and push them.

    Raises `UsageProblem` when they cannot be pushed.
    """
    if not (store.folder / "lfs" / "objects").is_dir():
        return
    objects = [
        oid
        for oid in _pointed(store, base, head)
        if lfs_object_path(store.folder / "lfs", oid).exists()
    ]
    for oid in objects:
        source, target = (
            lfs_object_path(store.folder / "lfs", oid),
            lfs_object_path(world.user.lfs_storage(), oid),
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            try:
                os.link(source, target)
            except OSError:
                shutil.copyfile(source, target)
    if not objects or not remote:
        return
    try:
        world.user.git("lfs", "push", "--object-id", remote, *objects)
    except GitError as exc:
        raise UsageProblem(
            f"{len(objects)} Git LFS object(s) could not be pushed to {remote}: "
            f"{excerpt(exc.stderr)}",
            f"Fix that (git lfs env), then type: pipeline resume {run_id}",
        ) from exc


def _pointed(store: Store, base: str, head: str) -> list[str]:
    """List the LFS objects that the files changed between two commits point to."""
    changes = [change for change in store.diff(base, head) if change.mode in {"100644", "100755"}]
    sizes_bytes = store.git(
        "cat-file",
        "--batch-check=%(objectsize)",
        stdin="".join(f"{change.blob}\n" for change in changes).encode(),
    ).splitlines()
    small = [
        change
        for change, size_bytes in zip(changes, sizes_bytes, strict=True)
        if int(size_bytes) <= _POINTER_MAX_BYTES
    ]
    objects = [lfs_object_id(store.git.raw("cat-file", "blob", change.blob)) for change in small]
    return [oid for oid in dict.fromkeys(objects) if oid]
