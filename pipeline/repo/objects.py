"""The objects that a run stands on: all of them there, and there to stay.

A partial clone has the files it lacks fetched, through the person's own repository, before work
begins. The repository's packs and loose objects are linked into the store where the file system can
do that, so that a history rewritten and pruned meanwhile takes nothing away from a run.
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
_LINKED = (".pack", ".rev", ".idx")
"""The index of a pack comes last: git takes a pack for there when it sees its index."""


def secure(user: UserRepo, store: Store, base: str, run_id: str) -> None:
    """Have all objects of the base there, and keep them.

    Raises `UsageProblem` when they cannot be had, or cannot lie beside each other on this file
    system.
    """
    if remote := _promisor(user):
        _fetch_missing(user, remote, base, run_id)
    keep(user.objects, store.folder / "objects")
    store.require(base)
    if folds_case(store.folder / "tmp") and (same := twins(store.paths(base))):
        raise UsageProblem(
            f"{base[:12]} has names that are one name on this file system: {'; '.join(map(' and '.join, same[:5]))}",
            "Rename one of each in the repository, or keep the state folder on a file system that tells them apart: "
            "PIPELINE_STATE_DIR=/path",
        )


def folds_case(folder: Path) -> bool:
    """Tell whether a file system takes `A` and `a` for one name."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="Case") as made:
        return Path(made).with_name(Path(made).name.swapcase()).exists()


def twins(paths: Iterable[str]) -> list[tuple[str, str]]:
    """List the names that differ in nothing but their case."""
    seen: dict[str, str] = {}
    return [
        (seen[path.casefold()], path)
        for path in paths
        if seen.setdefault(path.casefold(), path) != path
    ]


def keep(source: Path, target: Path) -> None:
    """Link packs and loose objects into another object folder.

    Where links cannot be made, nothing is done.
    """
    with suppress(OSError):
        _link_all(source / "pack", target / "pack", _LINKED)
        for folder in os.scandir(source):
            if len(folder.name) == 2:
                _link_all(Path(folder.path), target / folder.name, ("",))


def _link_all(source: Path, target: Path, endings: tuple[str, ...]) -> None:
    target.mkdir(exist_ok=True)
    there = set(os.listdir(target))  # noqa: PTH208 - names alone are wanted, of thousands
    names = [name for name in os.listdir(source) if name not in there]  # noqa: PTH208
    for ending in endings:
        for name in names:
            if name.endswith(ending) and not name.startswith("tmp_"):
                with suppress(FileExistsError, FileNotFoundError):
                    os.link(source / name, target / name)


def _promisor(user: UserRepo) -> str:
    """Name the remote that owes a partial clone its objects; empty for a whole clone."""
    found = user.git("config", "--get-regexp", r"^remote\..*\.promisor$", ok=(0, 1))
    return (
        found.partition(" ")[0].removeprefix("remote.").removesuffix(".promisor") if found else ""
    )


def _fetch_missing(user: UserRepo, remote: str, base: str, run_id: str) -> None:
    """Fetch what the base's tree lacks, all at once.

    Trees first, in a clone that lacks those too.
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
            user.git(
                "-c", "fetch.negotiationAlgorithm=noop", "fetch", *options, "--filter=blob:none", "--stdin", remote,
                stdin="\n".join(missing).encode(),
            )  # fmt: skip
        except GitError as exc:
            raise UsageProblem(
                f"this is a partial clone, and {len(missing)} files of {base[:12]} could not be fetched from {remote}: "
                + excerpt(exc.stderr),
                f"Make {remote} reachable, then type: pipeline resume {run_id}",
            ) from exc
    raise UsageProblem(
        f"this is a partial clone whose remote {remote} does not hand out its files",
        "Clone it whole",
    )
