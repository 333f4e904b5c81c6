"""Keeping what all workspaces and set-ups of a repository take on the disk below a bound."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline.errors import Busy
from pipeline.files import locks
from pipeline.files.trees import remove
from pipeline.repo.pool import IsOver, owners

WORKSPACES, SETUPS = "workspaces", "setups"


class _Held(msgspec.Struct, frozen=True, kw_only=True):
    """One workspace or set-up: `run_id` is the run that still needs it, or was the last to."""

    folder: Path
    used_at: float
    size_bytes: int
    run_id: str = ""
    root: str = ""
    is_free: bool = False


def make_room(state: Path, bound_bytes: int | None, is_over: IsOver) -> None:
    """Remove what nobody has used for longest, until there is room below the bound.

    What a run still needs is never removed. Raises `Busy`, which names those runs, when there is no
    room then.
    """
    if bound_bytes is None:
        return
    held = [*_workspaces(state / WORKSPACES), *_setups(state / SETUPS)]
    total = sum(one.size_bytes for one in held)
    for one in sorted(held, key=lambda one: one.used_at):
        if total < bound_bytes:
            return
        gone = (
            _remove_setup(one)
            if one.folder.parent.name == SETUPS
            else _remove_workspace(one, is_over)
        )
        total -= one.size_bytes if gone else 0
    if total < bound_bytes:
        return
    by_run: dict[str, int] = {}
    for one in held:
        if one.folder.exists():
            by_run[one.run_id or "set-ups in use"] = (
                by_run.get(one.run_id or "set-ups in use", 0) + one.size_bytes
            )
    names = "; ".join(
        f"{name}: {size / 1e6:.1f} MB"
        for name, size in sorted(by_run.items(), key=lambda one: -one[1])
    )
    run = next((name for name in by_run if " " not in name), "RUN")
    raise Busy(
        f"workspaces take {total / 1e6:.1f} MB, and `workspace.disk` allows {bound_bytes / 1e6:.1f} MB ({names})",
        f"Allow more in the flow, or end a run that holds some: pipeline cancel {run}",
    )


def _workspaces(folder: Path) -> Iterator[_Held]:
    for number, owner in owners(folder):
        one = folder / str(number)
        used_at = (one / "owner.json").stat().st_mtime
        yield _Held(
            folder=one,
            used_at=used_at,
            size_bytes=owner.size_bytes,
            run_id=owner.run_id,
            root=owner.root,
            is_free=owner.given_back,
        )


def _setups(folder: Path) -> Iterator[_Held]:
    for size in folder.glob("*/size"):
        with contextlib.suppress(OSError, ValueError):
            used_at = size.parent.with_suffix(".used").stat().st_mtime
            yield _Held(folder=size.parent, used_at=used_at, size_bytes=int(size.read_text()))


def _remove_workspace(one: _Held, is_over: IsOver) -> bool:
    if (lease := locks.lease(one.folder.with_suffix(".lock"))) is None:
        return False
    is_free = one.is_free or is_over(one.run_id, one.root)
    if is_free:
        remove(one.folder)
    lease.close()
    return is_free


def _remove_setup(one: _Held) -> bool:
    with (
        contextlib.suppress(Busy),
        locks.hold(
            [one.folder.with_suffix(".lock")],
            run_id="",
            agent="engine",
            stage="room",
            timeout_s=0.0,
        ),
    ):
        if (lease := locks.lease(one.folder.with_suffix(".used"))) is None:
            return False
        remove(one.folder)
        lease.close()
        return True
    return False
