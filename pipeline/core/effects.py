"""What a run changes outside its own folders: branch, push, pull request, each once for a revision.

A revision is one publication of the run's tree, counted from 1; a later one goes onto the same
branch. The same struct says what is intended (what is not known yet is empty) and what was then
seen there.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

_T = TypeVar("_T")


class PublishedCommit(msgspec.Struct, frozen=True, kw_only=True):
    """One commit of the run's branch, and the stage that made most of it."""

    sha: str
    subject: str
    stage: str


class BranchEffect(msgspec.Struct, frozen=True, kw_only=True, tag="branch"):
    """The run's branch, here and in the store."""

    branch: str
    head: str = ""
    commits: tuple[PublishedCommit, ...] = ()


class PushEffect(msgspec.Struct, frozen=True, kw_only=True, tag="push"):
    """The branch on the remote."""

    branch: str
    head: str
    remote: str


class PullRequestEffect(msgspec.Struct, frozen=True, kw_only=True, tag="pull_request"):
    """The pull request of the branch; `state` is the forge's word for it."""

    branch: str
    url: str = ""
    number: int = 0
    state: str = "open"
    draft: bool = False


Effect = BranchEffect | PushEffect | PullRequestEffect


class Revision(msgspec.Struct):
    """The effects of one revision; what is None has not been seen (or is not intended) yet."""

    branch: BranchEffect | None = None
    push: PushEffect | None = None
    pull_request: PullRequestEffect | None = None

    def add(self, effect: Effect) -> None:
        """Put an effect in its place."""
        match effect:
            case BranchEffect():
                self.branch = effect
            case PushEffect():
                self.push = effect
            case PullRequestEffect():
                self.pull_request = effect


class Effects(msgspec.Struct):
    """All revisions of a run by number: what it meant to do, and what it saw done."""

    intended: dict[int, Revision] = {}
    done: dict[int, Revision] = {}

    @property
    def revision(self) -> int:
        """The number of the revision that is under way, or was last."""
        return max((*self.intended, *self.done), default=1)

    def intend(self, revision: int, effect: Effect) -> None:
        """Note what is about to be done."""
        self.intended.setdefault(revision, Revision()).add(effect)

    def see(self, revision: int, effect: Effect) -> None:
        """Note what is there now."""
        self.done.setdefault(revision, Revision()).add(effect)

    def of(self, revision: int) -> Revision:
        """Return what was seen done of a revision."""
        return self.done.get(revision, Revision())

    @property
    def branch(self) -> BranchEffect | None:
        """The newest branch that was seen."""
        return _newest([one.branch for one in self.done.values()])

    @property
    def push(self) -> PushEffect | None:
        """The newest push that was seen."""
        return _newest([one.push for one in self.done.values()])

    @property
    def intended_push(self) -> PushEffect | None:
        """The newest push that was about to be made; it may be there although nobody saw it."""
        return _newest([one.push for one in self.intended.values()])

    @property
    def pull_request(self) -> PullRequestEffect | None:
        """The newest pull request that was seen."""
        return _newest([one.pull_request for one in self.done.values()])

    @property
    def branches(self) -> set[str]:
        """The names of all branches of the run."""
        return {one.branch.branch for one in self.done.values() if one.branch is not None}


def _newest(effects: Sequence[_T | None]) -> _T | None:
    return next((effect for effect in reversed(effects) if effect is not None), None)
