"""Publishing: branch, push, pull request; each exactly once, whatever is killed when.

Every step writes its intent, looks at the world before it acts, and writes what it then saw.
Commits have fixed dates, so a replay makes the same ones; a push names the value it expects; the
pull request is looked for by its branch before it is made.
"""

from collections.abc import Callable, Sequence

import msgspec

from pipeline.core.events import Effect, EffectDone, EffectIntended, Event, Noted, RunStarted
from pipeline.core.gist import gist
from pipeline.core.state import RunState
from pipeline.engine.publishing import large, moved, pr_body
from pipeline.engine.publishing.compose import Composer
from pipeline.engine.result import Commit, newest_gate
from pipeline.engine.world import World
from pipeline.errors import UsageProblem, WorkFailed
from pipeline.files import atomic
from pipeline.files.failpoints import reached
from pipeline.files.rundir import RunDir
from pipeline.forges.local import LocalForge, PullRequest, folder_for
from pipeline.ids import branch_name
from pipeline.language.flow import GateName
from pipeline.language.plan import Node, Plan
from pipeline.language.publishing import Publish
from pipeline.repo.git import GitError
from pipeline.repo.store import NO_COMMIT, Store

_SUBJECT_MAX = 68

Record = Callable[[Event], None]


class Publisher:
    """Publishes one run's tree."""

    def __init__(
        self,
        world: World,
        rundir: RunDir,
        plan: Plan,
        store: Store,
        state: RunState,
        record: Record,
    ) -> None:
        """`record` appends an event durably and takes it into `state`."""
        self.world = world
        self.rundir = rundir
        self.plan = plan
        self.store = store
        self.state = state
        self.record = record
        if state.started is None:
            raise ValueError("the run has not started")
        self.started: RunStarted = state.started
        self.branch = ""

    def _title(self) -> str:
        plans = [
            self.rundir.accepted(node.id) / node.outputs["plan"].file
            for node in self.plan.leaves()
            if "plan" in node.outputs
        ]
        text = next((path.read_text(errors="replace") for path in plans if path.is_file()), "")
        return title_from(text, self.started.idea)

    def publish(self, node: Node) -> str:
        """Do what of branch, push and pull request is not done yet.

        Return what there is now, in words.

        Raises `Problem` when the tree may not be published, or somebody else's branch is in the
        way.
        """
        self._require_verified()
        title = self._title()
        how = node.publish or Publish()
        self.branch = branch_name(how.branch, self.started.feature, self.started.run_id)
        commits = self._branch(how, title)
        head, remote = commits[-1].sha, self.started.remote
        large.hand_over(
            self.world, self.store, self.started.base, head, remote, self.started.run_id
        )
        if not remote or Effect.PUSH in self.state.effects or not self._push(head):
            self._note_others(head)
        self._write_records(commits)
        if not self.state.publish:
            return f"branch {self.branch}; no pull request was asked for"
        pull = self._pull_request(commits[-1].sha, title, draft=how.draft)
        return f"pull request {pull.number}: {pull.url}"

    def tree(self) -> str:
        """Return the tree to publish: the run's tree without its records."""
        base = self.store.tree_of(self.started.base)
        return self.store.graft(self.state.tree or base, base, self.plan.records)

    def _require_verified(self) -> None:
        tree = self.tree()
        if tree == self.store.tree_of(self.started.base):
            raise WorkFailed(
                "there is nothing to publish: the run changed nothing",
                f"See pipeline show {self.started.run_id}",
            )
        asks = any(
            GateName.GREEN in node.gates
            for node in self.plan.nodes.values()
            if node.workflow == self.plan.workflow
        )
        green = newest_gate(self.state, GateName.GREEN)
        if asks and (green is None or not green.passed or green.tree != tree):
            seen = (
                f"the last green gate saw tree {green.tree[:12]}"
                if green
                else "no green gate saw any tree"
            )
            raise WorkFailed(f"tree {tree[:12]} was not verified ({seen}), so it is not published")

    def _branch(self, how: Publish, title: str) -> tuple[Commit, ...]:
        """Compose the commits, set the branch in the store, and bring it into the user's repository."""
        if not self.state.effects.get(Effect.BRANCH):
            self.record(
                EffectIntended(
                    at=self.world.clock(), effect=Effect.BRANCH, detail={"branch": self.branch}
                )
            )
            reached("branch.intended")
        composer = Composer(self.world, self.store, self.plan, self.state, how)
        commits = composer.commits(self.tree(), title)
        reached("branch.composed")
        head = commits[-1].sha
        self._set_store_branch(head)
        self.world.user.adopt_branch(self.store.folder, self.branch, head, self.started.run_id)
        reached("branch.set")
        if not self.state.effects.get(Effect.BRANCH):
            detail = {
                "branch": self.branch,
                "head": head,
                "commits": msgspec.json.encode(commits).decode(),
            }
            self.record(EffectDone(at=self.world.clock(), effect=Effect.BRANCH, detail=detail))
            reached("branch.recorded")
        return commits

    def _set_store_branch(self, head: str) -> None:
        try:
            self.store.set_ref(f"refs/heads/{self.branch}", head, NO_COMMIT)
        except GitError as exc:
            raise UsageProblem(
                f"the branch {self.branch} is in the store at another commit", exc.what
            ) from exc

    def _push(self, head: str) -> bool:
        """Push the branch.

        Tell whether it is there now as it was pushed, and not with more on top of it.
        """
        if not self.state.effects.get(Effect.PUSH):
            detail = {"branch": self.branch, "head": head, "remote": self.started.remote}
            self.record(EffectIntended(at=self.world.clock(), effect=Effect.PUSH, detail=detail))
            reached("push.intended")
        ref = f"refs/heads/{self.branch}"
        git, there = self.world.user.git, head
        try:
            git(
                "push",
                "--porcelain",
                "--no-verify",
                f"--force-with-lease={ref}:",
                self.started.remote,
                f"{head}:{ref}",
            )
        except GitError as exc:
            there = git("ls-remote", self.started.remote, ref, ok=(0, 2, 128)).partition("\t")[0]
            if there != head and not self.world.user.more_on(
                self.started.remote, self.branch, head
            ):
                raise self._refused(there, exc) from exc
        reached("push.done")
        if not self.state.effects.get(Effect.PUSH):
            self.record(
                EffectDone(
                    at=self.world.clock(),
                    effect=Effect.PUSH,
                    detail={"branch": self.branch, "head": head},
                )
            )
            reached("push.recorded")
        return there == head

    def _note_others(self, head: str) -> None:
        """Say what persons have put on top of the run's branch meanwhile; it stays."""
        remote = self.started.remote
        if more := self.world.user.more_on(remote, self.branch, head):
            where = f"{self.branch} on {remote}" if remote else self.branch
            said = f"{where} has {more} commit{'s' * (more != 1)} that this run did not make; left as it is"
            self.record(Noted(at=self.world.clock(), text=said))

    def _refused(self, there: str, exc: GitError) -> UsageProblem:
        again = f"then type: pipeline resume {self.started.run_id}"
        folder = self.branch.rpartition("/")[0]
        if folder and self.world.user.git(
            "ls-remote", self.started.remote, f"refs/heads/{folder}", ok=(0, 2, 128)
        ):
            return UsageProblem(
                f"{self.started.remote} has a branch {folder}, which is in the way of {self.branch}",
                f"Nothing was overwritten. Rename that branch there, {again}",
            )
        if there:
            return UsageProblem(
                f"{self.started.remote} has a branch {self.branch} at {there[:12]}, which this run did not push",
                f"It is left as it is. Look at it; rename or delete it, {again}",
            )
        return UsageProblem(
            f"{self.started.remote} did not take the push: {gist(exc.stderr)}",
            f"Mend that, {again}",
        )

    def _pull_request(self, head: str, title: str, *, draft: bool) -> PullRequest:
        if not self.state.effects.get(Effect.PULL_REQUEST):
            self.record(
                EffectIntended(
                    at=self.world.clock(),
                    effect=Effect.PULL_REQUEST,
                    detail={"branch": self.branch},
                )
            )
            reached("pr.intended")
        said = self._moved(head)
        body = pr_body.render(self.state, self.store, self.tree(), self.rundir.accepted, said)
        atomic.write_text(self.rundir.folder / "pr_body.md", body)
        url = self.world.user.remote_url(self.started.remote)
        forge = LocalForge(folder_for(url, self.world.user.root, self.world.repo_state))
        pull = forge.ensure(
            PullRequest(
                number=0,
                url="",
                title=title[:1].upper() + title[1:],
                body=body,
                head=self.branch,
                base=self.started.base_branch,
                head_commit=head,
                run_id=self.started.run_id,
                draft=draft,
                created_at=self.world.clock().isoformat(timespec="seconds"),
            )
        )
        reached("pr.created")
        if not self.state.effects.get(Effect.PULL_REQUEST):
            detail = {
                "url": pull.url,
                "number": str(pull.number),
                "state": pull.state,
                "draft": str(pull.draft).lower(),
            }
            self.record(
                EffectDone(at=self.world.clock(), effect=Effect.PULL_REQUEST, detail=detail)
            )
            reached("pr.recorded")
        atomic.write_text(self.rundir.folder / "pr_url.txt", pull.url + "\n")
        return pull

    def _moved(self, head: str) -> str:
        """Say that the base branch has moved, if it has; it is noted with the run too."""
        found = moved.look(self.world, self.store, self.started, head)
        said = "" if found is None else str(found)
        if said and said not in self.state.notes:
            self.record(Noted(at=self.world.clock(), text=said))
        return said

    def _write_records(self, commits: Sequence[Commit]) -> None:
        """Write `branch_info.json` and `commit_log.json` for people and scripts."""
        info = {
            "run_id": self.started.run_id,
            "branch": self.branch,
            "base_branch": self.started.base_branch,
            "base": self.started.base,
            "head": commits[-1].sha,
            "remote": self.started.remote,
        }
        for name, data in (("branch_info.json", info), ("commit_log.json", commits)):
            atomic.write_bytes(
                self.rundir.folder / name, msgspec.json.format(msgspec.json.encode(data)) + b"\n"
            )


def title_from(plan_text: str, idea: str) -> str:
    """Take the plan's first heading as title, else the idea's first words.

    Lower-case, 68 letters at most.
    """
    heading = next(
        (line.lstrip("# ").strip() for line in plan_text.splitlines() if line.startswith("#")), ""
    )
    text = " ".join((heading or idea).split()).rstrip(".")
    text = "".join(letter for letter in text if letter.isprintable())
    if len(text) > _SUBJECT_MAX:
        text = text[:_SUBJECT_MAX].rpartition(" ")[0] or text[:_SUBJECT_MAX]
    first = text.split(" ", 1)[0]
    return text if first.isupper() and len(first) > 1 else text[:1].lower() + text[1:]
