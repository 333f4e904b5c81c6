"""The workspaces of a repository, shared by its runs; each is leased by a kernel lock.

A workspace belongs to a run until that run is over, even while no process works on it: an agent
that outlived the pipeline may still write there. A workspace that agents had is never used for
gates, nor the other way round.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from pipeline.errors import Busy
from pipeline.files import atomic, locks
from pipeline.files.trees import remove

AGENTS, GATES = "agents", "gates"
FIRST_PORT, PORTS_PER_WORKSPACE = 20_000, 100

IsRunOver = Callable[[str, str], bool]
"""Returns whether a run (its id, the root of its checkout) is over and needs no workspace."""


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """The run that has a workspace, or had it last if `is_released`.

    `slot` is the name under which the run uses it. A released workspace keeps its content until
    another run leases it, so that a person can still look at it.
    """

    run_id: str
    root: str = ""
    slot: str = ""
    kind: str = AGENTS
    size_bytes: int = 0
    is_released: bool = False


class Pool:
    """The workspaces of a repository, as one run uses them."""

    def __init__(
        self,
        folder: Path,
        run_id: str,
        root: Path,
        is_over: IsRunOver,
        make_room: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is made before `lease`; `make_room` is called before a new workspace is made."""
        self.folder = folder
        self.run_id = run_id
        self.root = str(root)
        self._is_over = is_over
        self._leases: dict[str, tuple[int, locks.Lease]] = {}
        self._recorded_bytes: dict[str, int] = {}
        self._make_room = make_room

    def lease(self, slot: str, kind: str = AGENTS) -> tuple[Path, int]:
        """Lease the run's own workspace for a slot, else a free one, else a new one.

        Returns its folder and its first port. Raises `Busy` if another process uses the run's own.
        """
        if slot not in self._leases:
            self._leases[slot] = (
                self._lease_own(slot) or self._lease_free(slot, kind) or self._lease_new(slot, kind)
            )
        number = self._leases[slot][0]
        return self.folder / str(number) / "tree", FIRST_PORT + PORTS_PER_WORKSPACE * number

    def record_size(self, slot: str, size_bytes: int) -> None:
        """Record the size of a leased workspace, for the limit on disk space."""
        number = self._leases[slot][0]
        if self._recorded_bytes.get(slot) == size_bytes:
            return
        self._recorded_bytes[slot] = size_bytes
        owner = read_owner(self.folder / str(number))
        if owner is not None and owner.size_bytes != size_bytes:
            self._write_owner(number, msgspec.structs.replace(owner, size_bytes=size_bytes))

    def close(self, *, is_over: bool) -> None:
        """End all leases; if the run is over, other runs may use its workspaces."""
        for number, lease in self._leases.values():
            owner = read_owner(self.folder / str(number))
            if is_over and owner is not None:
                self._write_owner(number, msgspec.structs.replace(owner, is_released=True))
            lease.close()
        self._leases.clear()

    def _lease_own(self, slot: str) -> tuple[int, locks.Lease] | None:
        for number, owner in owners(self.folder):
            if (owner.run_id, owner.slot) == (self.run_id, slot):
                if (lease := self._try_lock(number)) is None:
                    raise Busy(
                        f"workspace {number} of run {self.run_id} is in use by another process"
                    )
                # Read again under the lock: another run may have taken it since.
                if (
                    now := read_owner(self.folder / str(number))
                ) is not None and now.run_id == self.run_id:
                    self._write_owner(number, msgspec.structs.replace(now, is_released=False))
                    return number, lease
                lease.close()
        return None

    def _lease_free(self, slot: str, kind: str) -> tuple[int, locks.Lease] | None:
        """Lease a workspace that no run needs, released ones first."""
        candidates = [
            (not owner.is_released, number)
            for number, owner in owners(self.folder)
            if owner.kind == kind
        ]
        for _, number in sorted(candidates):
            if (lease := self._try_lock(number)) is None:
                continue
            owner = read_owner(self.folder / str(number))
            if owner is not None and (owner.is_released or self._is_over(owner.run_id, owner.root)):
                self._write_owner(number, self._owner(slot, kind, owner.size_bytes))
                return number, lease
            lease.close()
        return None

    def _lease_new(self, slot: str, kind: str) -> tuple[int, locks.Lease]:
        self._make_room()
        number = 0
        while True:
            if (lease := self._try_lock(number)) is not None:
                if read_owner(self.folder / str(number)) is None:
                    self._write_owner(number, self._owner(slot, kind, 0))
                    return number, lease
                lease.close()
            number += 1

    def _owner(self, slot: str, kind: str, size_bytes: int) -> Owner:
        return Owner(
            run_id=self.run_id, root=self.root, slot=slot, kind=kind, size_bytes=size_bytes
        )

    def _try_lock(self, number: int) -> locks.Lease | None:
        return locks.lease(self.folder / f"{number}.lock")

    def _write_owner(self, number: int, owner: Owner) -> None:
        atomic.write_bytes(
            self.folder / str(number) / "owner.json", msgspec.json.encode(owner), durable=False
        )


def read_owner(folder: Path) -> Owner | None:
    """Read the owner of a workspace; None if it never had one."""
    try:
        return msgspec.json.decode((folder / "owner.json").read_bytes(), type=Owner)
    except (OSError, msgspec.DecodeError):
        return None


def owners(folder: Path) -> Iterator[tuple[int, Owner]]:
    """Yield the number and owner of every workspace, in order of their numbers."""
    names = (
        sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
        if folder.is_dir()
        else []
    )
    for number in names:
        if (owner := read_owner(folder / str(number))) is not None:
            yield number, owner


def workspaces_of(folder: Path, run_id: str) -> dict[str, tuple[Path, Owner]]:
    """Return the workspaces that a run has, or was the last to have, by slot."""
    return {
        owner.slot: (folder / str(number) / "tree", owner)
        for number, owner in owners(folder)
        if owner.run_id == run_id
    }


def remove_workspaces_of(folder: Path, run_id: str) -> None:
    """Remove the workspaces of a run, except those that a process still uses."""
    for number, owner in owners(folder):
        if owner.run_id == run_id and (lease := locks.lease(folder / f"{number}.lock")) is not None:
            remove(folder / str(number))
            lease.close()
