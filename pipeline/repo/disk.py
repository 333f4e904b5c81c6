"""Keep the disk space of a repository's workspaces and set-ups below a limit."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline.errors import Busy
from pipeline.files import locks
from pipeline.files.trees import remove
from pipeline.repo.pool import IsRunOver, owners

WORKSPACES, SETUPS = "workspaces", "setups"


class _DiskUse(msgspec.Struct, frozen=True, kw_only=True):
    """One workspace or set-up on disk; `run_id` is the run that uses it, or used it last."""

    folder: Path
    used_at_s: float
    size_bytes: int
    run_id: str = ""
    root: str = ""
    is_free: bool = False


def make_room(state: Path, limit_bytes: int | None, is_over: IsRunOver) -> None:
    """Remove the least recently used entries until the total is below the limit.

    What a run still needs is never removed. Raises `Busy`, which names those runs, if what is left
    is still too large.
    """
    if limit_bytes is None:
        return
    entries = [*_workspaces(state / WORKSPACES), *_setups(state / SETUPS)]
    total_bytes = sum(entry.size_bytes for entry in entries)
    for entry in sorted(entries, key=lambda entry: entry.used_at_s):
        if total_bytes < limit_bytes:
            return
        is_removed = (
            _remove_setup(entry)
            if entry.folder.parent.name == SETUPS
            else _remove_workspace(entry, is_over)
        )
        total_bytes -= entry.size_bytes if is_removed else 0
    if total_bytes < limit_bytes:
        return
    raise _no_room(entries, total_bytes, limit_bytes)


def _no_room(entries: list[_DiskUse], total_bytes: int, limit_bytes: int) -> Busy:
    """Name the runs that use the most space, and a command that frees some."""
    bytes_by_user: dict[str, int] = {}
    for entry in entries:
        if entry.folder.exists():
            user = entry.run_id or "set-ups in use"
            bytes_by_user[user] = bytes_by_user.get(user, 0) + entry.size_bytes
    largest_first = sorted(bytes_by_user.items(), key=lambda item: -item[1])
    users = "; ".join(f"{user}: {size_bytes / 1e6:.1f} MB" for user, size_bytes in largest_first)
    run = next((user for user in bytes_by_user if " " not in user), "RUN")
    return Busy(
        f"workspaces use {total_bytes / 1e6:.1f} MB, "
        f"and `workspace.disk` allows {limit_bytes / 1e6:.1f} MB ({users})",
        f"Allow more in the flow, or end a run that uses space: pipeline cancel {run}",
    )


def _workspaces(folder: Path) -> Iterator[_DiskUse]:
    for number, owner in owners(folder):
        workspace = folder / str(number)
        used_at_s = (workspace / "owner.json").stat().st_mtime
        yield _DiskUse(
            folder=workspace,
            used_at_s=used_at_s,
            size_bytes=owner.size_bytes,
            run_id=owner.run_id,
            root=owner.root,
            is_free=owner.is_released,
        )


def _setups(folder: Path) -> Iterator[_DiskUse]:
    for size_file in folder.glob("*/size"):
        with contextlib.suppress(OSError, ValueError):
            setup = size_file.parent
            yield _DiskUse(
                folder=setup,
                used_at_s=setup.with_suffix(".used").stat().st_mtime,
                size_bytes=int(size_file.read_text()),
            )


def _remove_workspace(entry: _DiskUse, is_over: IsRunOver) -> bool:
    if (lease := locks.lease(entry.folder.with_suffix(".lock"))) is None:
        return False
    is_free = entry.is_free or is_over(entry.run_id, entry.root)
    if is_free:
        remove(entry.folder)
    lease.close()
    return is_free


def _remove_setup(entry: _DiskUse) -> bool:
    # Two locks: `.lock` is held while it is made, `.used` (shared) for as long as a run uses it.
    with (
        contextlib.suppress(Busy),
        locks.hold(
            [entry.folder.with_suffix(".lock")],
            run_id="",
            agent="engine",
            stage="room",
            timeout_s=0.0,
        ),
    ):
        if (lease := locks.lease(entry.folder.with_suffix(".used"))) is None:
            return False
        remove(entry.folder)
        lease.close()
        return True
    return False
