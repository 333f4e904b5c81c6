"""A run's change as logical commits: tests, source, documentation, then what persons edited.

They are composed once: their head stands in the store, under the tree, before the branch is set,
and is used again from then on. So a replay makes no second ones, also where signatures differ each
time.
"""

from collections.abc import Iterator
from datetime import timedelta

import msgspec

from pipeline.core.effects import PublishedCommit
from pipeline.core.events import PersonEdited
from pipeline.core.excerpt import excerpt
from pipeline.core.state import RunState
from pipeline.engine.ground.world import World
from pipeline.engine.publishing import wording
from pipeline.errors import UsageProblem
from pipeline.language.flow import GateName
from pipeline.language.publishing import Choice, Publish
from pipeline.repo.git import GitError
from pipeline.repo.store import Store
from pipeline.repo.user import FALLBACK_AUTHOR

_DOCS = ("docs/**", "*.md", "**/*.md", "*.rst")
_LINE = "%H%x00%s%x00%(trailers:key=Stage,valueonly,separator=%x2C)"


class PlannedCommit(msgspec.Struct, frozen=True, kw_only=True):
    """One commit to be made: the tree after it, what it says, and who wrote it."""

    tree: str
    subject: str
    stage: str
    trailers: dict[str, str]
    author: str


class Composer:
    """Composes the commits of one run."""

    def __init__(self, world: World, store: Store, state: RunState, publish: Publish) -> None:
        """`publish` says how they are worded and signed."""
        self.world = world
        self.store = store
        self.plan = state.plan
        self.state = state
        self.publish = publish
        self.started = state.started

    def commits(self, tree: str, title: str) -> tuple[PublishedCommit, ...]:
        """Make the commits from the base to `tree`, or return those that were made before.

        Raises `UsageProblem` when they cannot be signed.
        """
        ref = f"refs/runs/{self.started.run_id}/composed/{tree}"
        if head := self.store.ref(ref):
            return self._made(head)
        signer = self.world.user.git if self._signs() else None
        commits: list[PublishedCommit] = []
        parent = self.started.base
        for index, step in enumerate(self._steps(tree, title)):
            lines = "".join(f"{name}: {value}\n" for name, value in step.trailers.items() if value)
            message, at = (
                f"{step.subject}\n\n{lines}",
                self.started.at + timedelta(seconds=index + 1),
            )
            try:
                parent = self.store.commit(
                    step.tree, parent, message, author=step.author, at=at, signer=signer
                )
            except GitError as exc:
                raise self._unsigned(exc) from exc
            commits.append(PublishedCommit(sha=parent, subject=step.subject, stage=step.stage))
        self.store.set_ref(ref, parent, "")
        return tuple(commits)

    def _made(self, head: str) -> tuple[PublishedCommit, ...]:
        text = self.store.git(
            "log",
            "--reverse",
            "--first-parent",
            f"--format={_LINE}",
            f"{self.started.base}..{head}",
        )
        fields = [line.split("\0") for line in text.splitlines() if line]
        return tuple(
            PublishedCommit(sha=sha, subject=subject, stage=stage) for sha, subject, stage in fields
        )

    def _steps(self, final: str, title: str) -> Iterator[PlannedCommit]:
        """Split the change; a step that changes nothing is left out."""
        base = self.store.tree_of(self.started.base)
        edits = self._edits(final)
        final = edits[0].before if edits else final
        tests = tuple(glob for target in self.plan.targets for glob in target.tests)
        without_docs = self.store.graft(final, base, _DOCS)
        parts = (
            ("test", self.store.graft(base, final, tests)),
            ("feat", self.store.graft(without_docs, final, tests)),
            ("docs", final),
        )
        history = self._history()
        words = wording.wording_of(
            [subject for subject, _ in history], self.publish.style, self.started.idea
        )
        red = self.state.newest_gate(GateName.RED, passed=True) is not None
        common = self._common([trailer for _, trailer in history])
        paths = [change.path for change in self.store.diff(base, final)]
        before = base
        for kind, after in parts:
            if after == before:
                continue
            stage, agent = self._made_by({change.path for change in self.store.diff(before, after)})
            subject = words.subject(kind, title, paths, red=red)
            trailers = {**self._of(stage, agent), **common}
            yield PlannedCommit(
                tree=after,
                subject=subject,
                stage=stage or kind,
                trailers=trailers,
                author=self.started.author,
            )
            before = after
        for edit in edits:
            subject = f"edit by {edit.author.rpartition(' <')[0]}"
            trailers = {"Run-Id": self.started.run_id, **common}
            yield PlannedCommit(
                tree=edit.tree,
                subject=subject,
                stage="person",
                trailers=trailers,
                author=edit.author,
            )

    def _edits(self, final: str) -> list[PersonEdited]:
        """Separate persons' edits from the rest, the last first, unless written over since.

        Returns them in order, each with the tree before and after it.
        """
        separate: list[PersonEdited] = []
        for edit in reversed(self.state.product.edits):
            later = {change.path for change in self.store.diff(edit.tree, final)}
            before = self.store.graft_paths(final, edit.before, set(edit.changed) - later)
            if before != final:
                separate.append(msgspec.structs.replace(edit, before=before, tree=final))
            final = before
        return separate[::-1]

    def _history(self) -> list[tuple[str, str]]:
        """Return the newest subjects of the base, each with its sign-off."""
        form = "%s%x00%(trailers:key=Signed-off-by,valueonly,separator=%x2C)"
        text = self.store.git(
            "log", "--no-merges", f"-{wording.LOOKED_AT}", f"--format={form}", self.started.base
        )
        return [
            (subject, trailer)
            for subject, _, trailer in (line.partition("\0") for line in text.splitlines())
        ]

    def _made_by(self, paths: set[str]) -> tuple[str, str]:
        """Name the last stage (and its agent) that wrote one of the paths."""
        stage, agent = "", ""
        for node in self.plan.leaves():
            last = self.state.nodes[node.id].last
            if last is not None and last.commit and paths & set(last.changed):
                stage, agent = node.id, last.agent
        return stage, agent

    def _of(self, stage: str, agent: str) -> dict[str, str]:
        node = self.plan.nodes.get(stage)
        model = node.player.model if node is not None and node.player is not None else ""
        return {"Run-Id": self.started.run_id, "Stage": stage, "Agent": agent, "Model": model}

    def _common(self, sign_offs: list[str]) -> dict[str, str]:
        """Return the trailers of every commit.

        Those of the flow, and the sign-off where it is wanted.
        """
        trailers = dict(self.publish.trailers)
        usual = self.publish.signoff is Choice.AUTO and wording.signed_off(sign_offs)
        if (
            usual or self.publish.signoff is Choice.ALWAYS
        ) and self.started.author != FALLBACK_AUTHOR:
            trailers["Signed-off-by"] = self.started.author
        return trailers

    def _signs(self) -> bool:
        match self.publish.sign:
            case Choice.ALWAYS:
                return True
            case Choice.NEVER:
                return False
            case Choice.AUTO:
                return (
                    self.world.user.git(
                        "config", "--type=bool", "--get", "commit.gpgsign", ok=(0, 1)
                    )
                    == "true"
                )

    def _unsigned(self, exc: GitError) -> UsageProblem:
        run = self.started.run_id
        return UsageProblem(
            f"git could not sign a commit: {excerpt(exc.stderr)}",
            "Fix that (git config --get-regexp 'gpg|sign' shows what is set; unlock the key), "
            "or do without: "
            f"git config commit.gpgsign false\nThen type: pipeline resume {run}",
        )
