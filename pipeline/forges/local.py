"""Pull requests as files: for a bare remote on this machine, or no remote at all.

They are beside the bare repository (`origin.git` -> `origin.pulls/`), or in the repository's part
of the state folder: a JSON file for each pull request, and its text as Markdown for people.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipeline.errors import UsageProblem
from pipeline.files import atomic, locks

_LOCK_TIMEOUT_S = 30.0


class PullRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One pull request, as it is stored."""

    number: int
    url: str
    title: str
    body: str
    head: str
    base: str
    head_commit: str
    run_id: str
    state: str = "open"
    draft: bool = True
    created_at: str = ""
    merge_commit: str = ""


class LocalForge:
    """All pull requests of one repository."""

    def __init__(self, folder: Path) -> None:
        """The folder is created with the first pull request."""
        self.folder = folder

    def find(self, head: str) -> PullRequest | None:
        """Return the pull request of a branch, whatever its state."""
        return next((pull for pull in self.list() if pull.head == head), None)

    def list(self) -> list[PullRequest]:
        """Return all pull requests, the oldest first."""
        pulls = (
            [self._read(path) for path in self.folder.glob("[0-9]*.json")]
            if self.folder.is_dir()
            else []
        )
        return sorted((pull for pull in pulls if pull is not None), key=lambda pull: pull.number)

    def get(self, number: int) -> PullRequest:
        """Return a pull request by its number. Raises `UsageProblem` if there is none."""
        pull = self._read(self.folder / f"{number}.json")
        if pull is None:
            numbers = ", ".join(str(pull.number) for pull in self.list()) or "none yet"
            raise UsageProblem(f"there is no pull request {number}", f"There are: {numbers}")
        return pull

    def ensure(self, wanted: PullRequest) -> PullRequest:
        """Return the pull request of `wanted.head`, and create it if there is none.

        May be called any number of times, by several processes: a branch never gets a second one.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with locks.hold(
            [self.folder / "pulls.lock"],
            run_id=wanted.run_id,
            agent="forge",
            stage="",
            timeout_s=_LOCK_TIMEOUT_S,
        ):
            if existing := self.find(wanted.head):
                return existing
            number = max((pull.number for pull in self.list()), default=0) + 1
            url = (self.folder / f"{number}.md").as_uri()
            pull = msgspec.structs.replace(wanted, number=number, url=url)
            atomic.write_text(self.folder / f"{number}.md", f"# {pull.title}\n\n{pull.body}")
            self.save(pull)
            return pull

    def save(self, pull: PullRequest) -> None:
        """Write a pull request's new state."""
        data = msgspec.json.format(msgspec.json.encode(pull))
        atomic.write_bytes(self.folder / f"{pull.number}.json", data + b"\n")

    def _read(self, path: Path) -> PullRequest | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=PullRequest)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as exc:
            raise UsageProblem(
                f"{path} is damaged: {exc}", f"Repair it or move it away: mv {path} {path}.damaged"
            ) from exc


def folder_for(remote_url: str, root: Path, repo_state: Path) -> Path:
    """Return the folder of a repository's pull requests.

    It is beside a bare remote on this machine, else in the repository's part of the state folder.
    """
    path = local_path(remote_url, root)
    if path is None:
        return repo_state / "pulls"
    return path.with_name(path.name.removesuffix(".git") + ".pulls")


def local_path(remote_url: str, root: Path) -> Path | None:
    """Return the folder on this machine that a remote's address means; None if elsewhere."""
    if not remote_url:
        return None
    text = remote_url.removeprefix("file://")
    # `host:path` is SSH's short form, unless there is such a folder.
    if "://" in text or (":" in text.split("/")[0] and not Path(text).exists()):
        return None
    path = (root / text).resolve()
    return path if path.is_dir() else None


def newest_first(pulls: Sequence[PullRequest]) -> list[PullRequest]:
    """Return pull requests sorted for lists: the newest first."""
    return sorted(pulls, key=lambda pull: -pull.number)
