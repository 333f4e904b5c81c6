"""Make sure that every object a run needs is there, and stays.

In a partial clone the missing files of the base are fetched before work begins, through the
person's own repository. The repository's packs and loose objects are hard-linked into the store
where the file system allows it, so that history rewritten and pruned during a run costs it nothing.
"""

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pipeline.core.excerpt import excerpt
from pipeline.errors import UsageProblem
from pipeline.repo.git import GitError
from pipeline.repo.store import Store
from pipeline.repo.user import UserRepo

_ROUNDS_MAX = 200
_PACK_ENDINGS = (".pack", ".rev", ".idx")
"""In this order: git uses a pack as soon as it sees its `.idx`, so that comes last."""


def ensure_objects(user: UserRepo, store: Store, base: str, run_id: str) -> None:
    """Fetch what is missing of the base, and link all objects into the store.

    Raises `UsageProblem` if an object cannot be fetched, or if two paths of the base cannot both
    exist on this file system.
    """
    if remote := _promisor_remote(user):
        _fetch_missing(user, remote, base, run_id)
    link_objects(user.objects, store.folder / "objects")
    store.require(base)
    if is_case_insensitive(store.folder / "tmp") and (pairs := case_collisions(store.paths(base))):
        names = "; ".join(map(" and ".join, pairs[:5]))
        raise UsageProblem(
            f"{base[:12]} has paths that are the same on this file system: {names}",
            "Rename one of each pair in the repository, or put the state folder on a file system "
            "that distinguishes case: PIPELINE_STATE_DIR=/path",
        )


def is_case_insensitive(folder: Path) -> bool:
    """Return whether a file system treats `A` and `a` as the same name."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="Case") as made:
        return Path(made).with_name(Path(made).name.swapcase()).exists()


def case_collisions(paths: Iterable[str]) -> list[tuple[str, str]]:
    """List the pairs of paths that differ only in case."""
    seen: dict[str, str] = {}
    return [
        (seen[path.casefold()], path)
        for path in paths
        if seen.setdefault(path.casefold(), path) != path
    ]


def link_objects(source: Path, target: Path) -> None:
    """Hard-link packs and loose objects into another object folder.

    Does nothing where links cannot be made (another file system, files of another user): git still
    finds the objects through `objects/info/alternates`, for as long as nobody prunes them.
    """
    with suppress(OSError):
        _link_all(source / "pack", target / "pack", _PACK_ENDINGS)
        for folder in os.scandir(source):
            if len(folder.name) == 2:
                _link_all(Path(folder.path), target / folder.name, ("",))


def _link_all(source: Path, target: Path, endings: tuple[str, ...]) -> None:
    target.mkdir(exist_ok=True)
    known = set(os.listdir(target))  # noqa: PTH208 - only names, of thousands of files
    names = [name for name in os.listdir(source) if name not in known]  # noqa: PTH208
    for ending in endings:
        for name in names:
            # `tmp_*` are files that another git process is still writing.
            if name.endswith(ending) and not name.startswith("tmp_"):
                with suppress(FileExistsError, FileNotFoundError):
                    os.link(source / name, target / name)


def _promisor_remote(user: UserRepo) -> str:
    """Return the remote that a partial clone fetches objects from; empty for a full clone."""
    setting = user.git("config", "--get-regexp", r"^remote\..*\.promisor$", ok=(0, 1))
    return setting.partition(" ")[0].removeprefix("remote.").removesuffix(".promisor")


def _fetch_missing(user: UserRepo, remote: str, base: str, run_id: str) -> None:
    """Fetch the missing objects of the base's tree, all of one level in one request.

    A clone made with `--filter=tree:0` lacks trees too, and what is in a tree is only known once it
    is there: hence the rounds.
    """
    options = (
        "--no-tags",
        "--no-write-fetch-head",
        "--no-auto-maintenance",
        "--recurse-submodules=no",
    )
    for _ in range(_ROUNDS_MAX):
        listed = user.git(
            "rev-list",
            "--objects",
            "--no-object-names",
            "--missing=print",
            "--no-walk",
            f"{base}^{{tree}}",
        )
        missing = [line[1:] for line in listed.splitlines() if line.startswith("?")]
        if not missing:
            return
        try:
            # The options of git's own fetch of missing objects. `noop`: offered the commits that
            # are here, the remote would leave out all of their objects, the missing ones too.
            user.git(
                *("-c", "fetch.negotiationAlgorithm=noop", "fetch", *options),
                *("--filter=blob:none", "--stdin", remote),
                stdin="\n".join(missing).encode(),
            )
        except GitError as exc:
            raise UsageProblem(
                f"this is a partial clone, and {len(missing)} files of {base[:12]} "
                f"could not be fetched from {remote}: {excerpt(exc.stderr)}",
                f"Make {remote} reachable, then type: pipeline resume {run_id}",
            ) from exc
    raise UsageProblem(
        f"this is a partial clone, and its remote {remote} does not send the missing files",
        "Make a full clone: git clone without --filter",
    )
