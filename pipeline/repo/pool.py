"""The repository's workspaces, taken in turn by its runs.

`workspaces/<n>/`, each leased by a kernel lock.

A workspace belongs to a run until that run is over, also while no process works on it: an agent
that outlived the pipeline may still write there. What agents had is never given to gates, nor the
other way round.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from pipeline.errors import Busy
from pipeline.files import atomic, locks
from pipeline.files.trees import remove

AGENTS, GATES = "agents", "gates"
FIRST_PORT, PORTS_EACH = 20_000, 100

IsOver = Callable[[str, str], bool]
"""Tells whether a run (its id, the root of its checkout) is over, so that nobody needs its workspaces."""


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a workspace is, or was last, once it is given back.

    Until somebody takes it, one can look into it.
    """

    run_id: str
    root: str = ""
    slot: str = ""
    kind: str = AGENTS
    size_bytes: int = 0
    given_back: bool = False


class Pool:
    """The workspaces as one run sees them."""

    def __init__(
        self,
        folder: Path,
        run_id: str,
        root: Path,
        is_over: IsOver,
        make_room: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is made before `lease`; `make_room` is called before a new workspace is made."""
        self.folder = folder
        self.run_id = run_id
        self.root = str(root)
        self._is_over = is_over
        self._leases: dict[str, tuple[int, locks.Lease]] = {}
        self._noted: dict[str, int] = {}
        self._make_room = make_room

    def lease(self, slot: str, kind: str = AGENTS) -> tuple[Path, int]:
        """Take the workspace that this run has under a name, a free one, or a new one.

        Return its folder and port.

        Raises `Busy` when another process uses the run's own.
        """
        if slot not in self._leases:
            self._leases[slot] = self._own(slot) or self._free(slot, kind) or self._new(slot, kind)
        number = self._leases[slot][0]
        return self.folder / str(number) / "tree", FIRST_PORT + PORTS_EACH * number

    def note_size(self, slot: str, size_bytes: int) -> None:
        """Write down how much a leased workspace holds."""
        number = self._leases[slot][0]
        if self._noted.get(slot) == size_bytes:
            return
        self._noted[slot] = size_bytes
        owner = read_owner(self.folder / str(number))
        if owner is not None and owner.size_bytes != size_bytes:
            self._write(number, msgspec.structs.replace(owner, size_bytes=size_bytes))

    def close(self, *, over: bool) -> None:
        """Let go of all workspaces; when the run is over others may have them."""
        for number, lease in self._leases.values():
            owner = read_owner(self.folder / str(number))
            if over and owner is not None:
                self._write(number, msgspec.structs.replace(owner, given_back=True))
            lease.close()
        self._leases.clear()

    def _own(self, slot: str) -> tuple[int, locks.Lease] | None:
        for number, owner in owners(self.folder):
            if (owner.run_id, owner.slot) == (self.run_id, slot):
                if (lease := self._lock(number)) is None:
                    raise Busy(
                        f"workspace {number} of run {self.run_id} is in use by another process"
                    )
                if (
                    now := read_owner(self.folder / str(number))
                ) is not None and now.run_id == self.run_id:
                    self._write(number, msgspec.structs.replace(now, given_back=False))
                    return number, lease
                lease.close()
        return None

    def _free(self, slot: str, kind: str) -> tuple[int, locks.Lease] | None:
        """Take the workspace that was used last, of those that no run needs."""
        candidates = [
            (not owner.given_back, number)
            for number, owner in owners(self.folder)
            if owner.kind == kind
        ]
        for _, number in sorted(candidates):
            if (lease := self._lock(number)) is None:
                continue
            owner = read_owner(self.folder / str(number))
            if owner is not None and (owner.given_back or self._is_over(owner.run_id, owner.root)):
                self._write(number, self._mine(slot, kind, owner.size_bytes))
                return number, lease
            lease.close()
        return None

    def _new(self, slot: str, kind: str) -> tuple[int, locks.Lease]:
        self._make_room()
        number = 0
        while True:
            if (lease := self._lock(number)) is not None:
                if read_owner(self.folder / str(number)) is None:
                    self._write(number, self._mine(slot, kind, 0))
                    return number, lease
                lease.close()
            number += 1

    def _mine(self, slot: str, kind: str, size_bytes: int) -> Owner:
        return Owner(
            run_id=self.run_id, root=self.root, slot=slot, kind=kind, size_bytes=size_bytes
        )

    def _lock(self, number: int) -> locks.Lease | None:
        return locks.lease(self.folder / f"{number}.lock")

    def _write(self, number: int, owner: Owner) -> None:
        atomic.write_bytes(
            self.folder / str(number) / "owner.json", msgspec.json.encode(owner), durable=False
        )


def read_owner(folder: Path) -> Owner | None:
    """Read whose a workspace is; None when nobody ever had it."""
    try:
        return msgspec.json.decode((folder / "owner.json").read_bytes(), type=Owner)
    except (OSError, msgspec.DecodeError):
        return None


def owners(folder: Path) -> Iterator[tuple[int, Owner]]:
    """Go through all workspaces with their owners, by number."""
    names = (
        sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
        if folder.is_dir()
        else []
    )
    for number in names:
        if (owner := read_owner(folder / str(number))) is not None:
            yield number, owner


def of_run(folder: Path, run_id: str) -> dict[str, tuple[Path, Owner]]:
    """Return the workspaces that a run has, or had last, by slot."""
    return {
        owner.slot: (folder / str(number) / "tree", owner)
        for number, owner in owners(folder)
        if owner.run_id == run_id
    }


def forget(folder: Path, run_id: str) -> None:
    """Remove the workspaces of a run that nobody works on any more."""
    for number, owner in owners(folder):
        if owner.run_id == run_id and (lease := locks.lease(folder / f"{number}.lock")) is not None:
            remove(folder / str(number))
            lease.close()
