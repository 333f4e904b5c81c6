"""Publishing: branch, push, pull request; each exactly once, whatever is killed when.

Every step writes its intent, looks at the world before it acts, and writes what it then saw.
Commits have fixed dates, so a replay makes the same ones; a push names the value it expects; the
pull request is looked for by its branch before it is made.
"""

from collections.abc import Sequence

import msgspec

from pipeline.core import plain_text
from pipeline.core.effects import (
    BranchEffect,
    Effect,
    PublishedCommit,
    PullRequestEffect,
    PushEffect,
    Revision,
)
from pipeline.core.events import EffectDone, EffectIntended, Noted
from pipeline.core.excerpt import excerpt
from pipeline.core.tokens import masked
from pipeline.engine.ground.record import Record
from pipeline.engine.ground.world import World
from pipeline.engine.publishing import large, moved, pr_body, suspects
from pipeline.engine.publishing.compose import Composer
from pipeline.errors import UsageProblem, WorkFailed
from pipeline.files import atomic
from pipeline.files.failpoints import reached
from pipeline.files.rundir import RunDir
from pipeline.forges.local import LocalForge, PullRequest, folder_for
from pipeline.ids import branch_name
from pipeline.language.flow import GateName
from pipeline.language.plan import Node
from pipeline.language.publishing import Publish
from pipeline.repo.git import GitError
from pipeline.repo.store import NO_COMMIT, Store

_SUBJECT_MAX_CHARACTERS = 68


class BranchInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`branch_info.json`: the run's branch, for people and scripts."""

    run_id: str
    branch: str
    base_branch: str
    base: str
    head: str
    remote: str


class Publisher:
    """Publishes one run's tree, a revision at a time."""

    def __init__(self, world: World, rundir: RunDir, store: Store, record: Record) -> None:
        """Each step goes into `record` before and after it."""
        self.world = world
        self.rundir = rundir
        self.store = store
        self.record = record
        self.state = record.state
        self.started = record.state.started

    def _title(self) -> str:
        plans = [
            self.rundir.accepted(node.id) / node.outputs["plan"].file
            for node in self.state.plan.leaves()
            if "plan" in node.outputs
        ]
        text = next((path.read_text(errors="replace") for path in plans if path.is_file()), "")
        return self._without_secrets(title_from(text, self.started.idea))

    def _without_secrets(self, text: str) -> str:
        return masked(self.world.redactor.text(text))

    def publish(self, node: Node) -> str:
        """Do what of branch, push and pull request is not done yet; return what there is now.

        Raises `Problem` when the tree may not be published, a person has to look at something in
        it first, or somebody else's branch is in the way.
        """
        self._require_verified()
        if self._done.branch is None:
            base = self.store.tree_of(self.started.base)
            suspects.require_looked_at(self.world, self.store, self.record, base, self.tree())
        title = self._title()
        how = node.publish or Publish()
        branch = branch_name(how.branch, self.started.feature, self.started.run_id)
        commits = self._branch(branch, how, title)
        head, remote = commits[-1].sha, self.started.remote
        run_id, base = self.started.run_id, self.started.base
        large.push_lfs_objects(self.world, self.store, base, head, remote, run_id)
        is_pushed = self._done.push is not None
        if not remote or is_pushed or not self._push(branch, head):
            self._note_others(branch, head)
        self._write_records(branch, commits)
        if not self.state.requests.publish:
            return f"branch {branch}; no pull request was asked for"
        pull = self._pull_request(branch, head, title, draft=how.draft)
        return f"pull request {pull.number}: {pull.url}"

    @property
    def _done(self) -> Revision:
        """What was seen done of the revision that is published now."""
        return self.state.effects.of(self.state.effects.revision)

    def _intend(self, effect: Effect) -> None:
        revision = self.state.effects.revision
        self.record.add(EffectIntended(at=self.world.clock(), effect=effect, revision=revision))

    def _see(self, effect: Effect) -> None:
        revision = self.state.effects.revision
        self.record.add(EffectDone(at=self.world.clock(), effect=effect, revision=revision))

    def tree(self) -> str:
        """Return the tree to publish: the run's tree without its records."""
        base = self.store.tree_of(self.started.base)
        return self.store.graft(self.state.product.tree or base, base, self.state.plan.records)

    def _require_verified(self) -> None:
        tree = self.tree()
        if tree == self.store.tree_of(self.started.base):
            raise WorkFailed(
                "there is nothing to publish: the run changed nothing",
                f"See pipeline show {self.started.run_id}",
            )
        asks = any(
            GateName.GREEN in node.gates
            for node in self.state.plan.nodes.values()
            if node.workflow == self.state.plan.workflow
        )
        green = self.state.newest_gate(GateName.GREEN)
        if asks and (green is None or not green.passed or green.tree != tree):
            seen = (
                f"the last green gate saw tree {green.tree[:12]}"
                if green
                else "no green gate saw any tree"
            )
            raise WorkFailed(f"tree {tree[:12]} was not verified ({seen}), so it is not published")

    def _branch(self, branch: str, how: Publish, title: str) -> tuple[PublishedCommit, ...]:
        """Compose the commits, set the branch in the store, bring it to the user's repository."""
        is_done = self._done.branch is not None
        if not is_done:
            self._intend(BranchEffect(branch=branch))
            reached("branch.intended")
        composer = Composer(self.world, self.store, self.state, how)
        commits = composer.commits(self.tree(), title)
        reached("branch.composed")
        head = commits[-1].sha
        self._set_store_branch(branch, head)
        self.world.user.adopt_branch(self.store.folder, branch, head, self.started.run_id)
        reached("branch.set")
        if not is_done:
            self._see(BranchEffect(branch=branch, head=head, commits=commits))
            reached("branch.recorded")
        return commits

    def _set_store_branch(self, branch: str, head: str) -> None:
        try:
            self.store.set_ref(f"refs/heads/{branch}", head, NO_COMMIT)
        except GitError as exc:
            raise UsageProblem(
                f"the branch {branch} is in the store at another commit", exc.what
            ) from exc

    def _push(self, branch: str, head: str) -> bool:
        """Push the branch; return whether the remote has it as pushed, with nothing on top."""
        remote = self.started.remote
        effect = PushEffect(branch=branch, head=head, remote=remote)
        self._intend(effect)
        reached("push.intended")
        ref = f"refs/heads/{branch}"
        git, there = self.world.user.git, head
        # the lease without a value: the push expects that there is no such branch yet
        options = ("--porcelain", "--no-verify", f"--force-with-lease={ref}:")
        try:
            git("push", *options, remote, f"{head}:{ref}")
        except GitError as exc:
            there = git("ls-remote", remote, ref, ok=(0, 2, 128)).partition("\t")[0]
            if there != head and not self.world.user.count_commits_on_top(remote, branch, head):
                raise self._refused(branch, there, exc) from exc
        reached("push.done")
        self._see(effect)
        reached("push.recorded")
        return there == head

    def _note_others(self, branch: str, head: str) -> None:
        """Describe what persons have put on top of the run's branch meanwhile; it stays."""
        remote = self.started.remote
        if more := self.world.user.count_commits_on_top(remote, branch, head):
            where = f"{branch} on {remote}" if remote else branch
            commits = f"{more} commit{'s' * (more != 1)}"
            text = f"{where} has {commits} that this run did not make; left as it is"
            self.record.add(Noted(at=self.world.clock(), text=text))

    def _refused(self, branch: str, there: str, exc: GitError) -> UsageProblem:
        remote = self.started.remote
        again = f"then type: pipeline resume {self.started.run_id}"
        folder = branch.rpartition("/")[0]
        folder_ref, git = f"refs/heads/{folder}", self.world.user.git
        if folder and git("ls-remote", remote, folder_ref, ok=(0, 2, 128)):
            return UsageProblem(
                f"{remote} has a branch {folder}, which is in the way of {branch}",
                f"Nothing was overwritten. Rename that branch there, {again}",
            )
        if there:
            return UsageProblem(
                f"{remote} has a branch {branch} at {there[:12]}, which this run did not push",
                f"It is left as it is. Inspect it; rename or delete it, {again}",
            )
        return UsageProblem(
            f"{remote} did not take the push: {excerpt(exc.stderr)}", f"Fix that, {again}"
        )

    def _pull_request(self, branch: str, head: str, title: str, *, draft: bool) -> PullRequest:
        is_done = self._done.pull_request is not None
        if not is_done:
            self._intend(PullRequestEffect(branch=branch, draft=draft))
            reached("pr.intended")
        accepted = self.rundir.accepted
        body = self._without_secrets(
            pr_body.render(self.state, self.store, self.tree(), accepted, self._moved(head))
        )
        atomic.write_text(self.rundir.folder / "pr_body.md", body)
        url = self.world.user.remote_url(self.started.remote)
        forge = LocalForge(folder_for(url, self.world.user.root, self.world.repo_state))
        pull = forge.ensure(
            PullRequest(
                number=0,
                url="",
                title=title[:1].upper() + title[1:],
                body=body,
                head=branch,
                base=self.started.base_branch,
                head_commit=head,
                run_id=self.started.run_id,
                draft=draft,
                created_at=self.world.clock().isoformat(timespec="seconds"),
            )
        )
        reached("pr.created")
        if not is_done:
            self._see(
                PullRequestEffect(
                    branch=branch,
                    url=pull.url,
                    number=pull.number,
                    state=pull.state,
                    draft=pull.draft,
                )
            )
            reached("pr.recorded")
        atomic.write_text(self.rundir.folder / "pr_url.txt", pull.url + "\n")
        return pull

    def _moved(self, head: str) -> str:
        """Describe how the base branch has moved, if it has; it is noted with the run too."""
        movement = moved.compare_base(self.world, self.store, self.started, head)
        text = "" if movement is None else str(movement)
        if text and text not in self.state.notes:
            self.record.add(Noted(at=self.world.clock(), text=text))
        return text

    def _write_records(self, branch: str, commits: Sequence[PublishedCommit]) -> None:
        """Write `branch_info.json` and `commit_log.json` for people and scripts."""
        info = BranchInfo(
            run_id=self.started.run_id,
            branch=branch,
            base_branch=self.started.base_branch,
            base=self.started.base,
            head=commits[-1].sha,
            remote=self.started.remote,
        )
        for name, value in (("branch_info.json", info), ("commit_log.json", commits)):
            data = msgspec.json.format(msgspec.json.encode(value)) + b"\n"
            atomic.write_bytes(self.rundir.folder / name, data)


def title_from(plan_text: str, idea: str) -> str:
    """Take the plan's first heading as title, else the idea's first line; nobody is called by it.

    Lower-case at its beginning unless it begins with an acronym; 68 characters at most.
    """
    lines = plan_text.splitlines()
    heading = next((line.lstrip("# ").strip() for line in lines if line.startswith("#")), "")
    first = next((line for line in idea.splitlines() if line.strip(" #")), "")
    text = " ".join((heading or first.lstrip("# ")).split()).rstrip(".")
    text = plain_text.for_commit(text)
    if len(text) > _SUBJECT_MAX_CHARACTERS:
        text = text[:_SUBJECT_MAX_CHARACTERS]
        text = text.rpartition(" ")[0] or text
    first = text.split(" ", 1)[0]
    return text if first.isupper() and len(first) > 1 else text[:1].lower() + text[1:]
