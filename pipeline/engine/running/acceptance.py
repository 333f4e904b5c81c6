"""Whether an attempt can be accepted: what it may write, must deliver, what gates find."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from msgspec.structs import replace

from pipeline.backends.base import AgentReply, Failed, QuotaUsedUp
from pipeline.core.evidence import GateResult, GateVerdict, RedEvidence
from pipeline.core.excerpt import excerpt
from pipeline.core.outcomes import Outcome, StopReason
from pipeline.core.violations import Violation, ViolationKind
from pipeline.engine.ground.world import World
from pipeline.engine.running import inputs, outputs
from pipeline.engine.running.formatting import Formatting, formatted
from pipeline.engine.running.leaks import leaks, without_secrets
from pipeline.engine.running.persons_tests import without_taken_away
from pipeline.engine.running.statements import statement_result
from pipeline.engine.running.task import AttemptResult, Task
from pipeline.engine.running.workspaces import Workspaces
from pipeline.files import atomic
from pipeline.files.failpoints import reached
from pipeline.files.rundir import ANSWER, PLANS, RunDir, copy_outputs
from pipeline.files.trees import remove
from pipeline.gates import table
from pipeline.gates.base import GateContext
from pipeline.language import globs
from pipeline.language.flow import FailureKind, GateName
from pipeline.language.plan import Node, Plan
from pipeline.language.schemas import TestDelivery
from pipeline.repo.store import PinnedBase, Store
from pipeline.repo.workspace import Workspace

_VIOLATIONS_SHOWN = 5
_NAMED_MAX = 20
_PRIVATE = {ViolationKind.SECRET_WRITTEN, ViolationKind.COPY_OF_IGNORED_FILE}
"""Violations by what a file holds: nothing of such a change goes into the next attempt."""

_GIT_RULES = ("**/.gitattributes", "**/.gitignore")
"""They decide which files are stored and how, so a stage that reads only a part has them too."""


class Acceptance:
    """Judges attempts of one run. Safe to use from several threads."""

    def __init__(
        self, world: World, rundir: RunDir, plan: Plan, workspaces: Workspaces, base: PinnedBase
    ) -> None:
        """Take what all attempts of the run share."""
        self._world = world
        self._rundir = rundir
        self._plan = plan
        self._workspaces = workspaces
        self._bench = workspaces.bench
        self._store = workspaces.bench.store
        self._base = base

    def judge(
        self, task: Task, folder: Path, workspace: Workspace, reply: AgentReply
    ) -> AttemptResult:
        """Check what was done against what the stage may and must do; then the gates."""
        self._workspaces.learn_secrets()
        reply = without_secrets(self._world.redactor, reply)
        result, violations, as_left = self._harvest(task, folder, workspace, reply)
        if not any(one.kind is ViolationKind.SECRET_WRITTEN for one in violations):
            self._keep(task, folder, reply, as_left, is_rejected=bool(violations))
        if violations:
            return _refused(result, violations)
        match reply.end:
            case QuotaUsedUp(reason=reason, retry_after_s=retry_after_s):
                return replace(
                    result,
                    outcome=Outcome.PARKED,
                    kind=FailureKind.QUOTA,
                    stop=StopReason.QUOTA_USED_UP,
                    reason=reason,
                    retry_after=self._world.clock() + timedelta(seconds=retry_after_s),
                )
            case Failed(kind=kind, reason=reason):
                return _failed(result, kind, reason)
            case _:
                pass
        said = statement_result(task, result, reply, self._store, self._base.tree)
        return said if said is not None else self._check_delivery(task, folder, result, reply)

    def _harvest(
        self, task: Task, folder: Path, workspace: Workspace, reply: AgentReply
    ) -> tuple[AttemptResult, list[Violation], str]:
        """Take in the lawful part of the workspace's change, formatted.

        Returns it with the rules that were broken, and the tree to keep for people: with the rest
        of the change if there is one that broke a rule.
        """
        products = self._bench.known_products(self._base.tree, self._plan.targets)
        since = readable(self._store, task, task.tree)
        harvest = workspace.harvest(task.node.writes, since, products)
        reached("stage.harvested", task.node.id)
        changed = tuple(change.path for change in harvest.changes)
        tree = self._on_top(task, since, harvest.tree)
        styled = Formatting(tree=tree)
        if changed and not harvest.violations:
            targets = self._plan.targets
            styled = formatted(
                self._store, self._bench, targets, since=task.tree, tree=tree, changed=changed
            )
            tree = styled.tree
        result = AttemptResult(
            outcome=Outcome.DONE,
            tree=tree,
            changed=changed,
            formatted=styled.files,
            partly_formatted=styled.partly,
            dropped=harvest.dropped[:_NAMED_MAX],
            ignored=tuple(map(str, harvest.ignored[:_NAMED_MAX])),
            usage=reply.usage,
            agent=reply.agent,
            reason=_denied(reply.denied),
        )
        as_left = self._on_top(task, since, harvest.as_left) if harvest.violations else tree
        trees, included = (task.tree, as_left), self._workspaces.included
        leaked = leaks(self._store, trees, folder / "out", included, self._world.redactor)
        return result, [*harvest.violations, *leaked], as_left

    def _on_top(self, task: Task, since: str, tree: str) -> str:
        """Return the tree of a stage that sees only a part, with the other paths as they are."""
        if since == task.tree:
            return tree
        changed = {change.path for change in self._store.diff(since, tree)}
        return self._store.graft_paths(task.tree, tree, changed)

    def _check_delivery(
        self, task: Task, folder: Path, result: AttemptResult, reply: AgentReply
    ) -> AttemptResult:
        """Make sure that what had to be changed and delivered is there; then ask the gates."""
        node = task.node
        objects = outputs.objections(node, folder / "out")
        if node.must_change and not result.changed and task.round == 1 and not objects:
            reason = "the agent says it is done, and changed nothing that it may write"
            return _failed(result, FailureKind.NO_CHANGE, reason)
        if missing := outputs.fill(node, folder / "out", reply.text):
            return _failed(result, FailureKind.PROTOCOL, "; ".join(missing))
        delivered = replace(
            result,
            outputs=outputs.delivered(node, folder / "out"),
            values=outputs.values(node, folder / "out"),
        )
        findings = tuple(folder / "out" / file for _, file in task.findings)
        return self.check_gates(task, delivered, findings, reply.text)

    def check_gates(
        self, task: Task, result: AttemptResult, findings: tuple[Path, ...], answer: str = ""
    ) -> AttemptResult:
        """Judge by the stage's gates in order, up to the first that blocks.

        `answer` is what the stage's agent said, for the next round.
        """
        results: list[GateResult] = []
        self._bench.take_log()
        for gate in task.node.gates:
            is_red = gate is GateName.RED
            left_out = (*self._plan.records, *(self._sources() if is_red else ()))
            context = GateContext(
                store=self._store,
                bench=self._bench,
                targets=self._plan.targets,
                base_tree=self._base.tree,
                tree=self._store.graft(result.tree, self._base.tree, left_out),
                red=None if is_red else self._delivered_tests(task, gate),
                delivery=self._delivery(task, result),
                earlier=task.earlier,
                refused=task.refused,
                findings=findings,
                is_last_round=task.is_last_round,
                has_next_round=task.has_next_round,
                awake=self._world.awake,
            )
            self._world.doing.step(f"{task.node.id}: gate {gate.value}")
            results.append(table.check(gate, context))
            if results[-1].verdict.blocks:
                break
        self._world.doing.step("")
        reached("gates.done", task.node.id)
        checked = replace(result, gates=tuple(results))
        if not results or not results[-1].verdict.blocks:
            remove(self.last_round(task))
            return checked
        last = results[-1]
        self._keep_last_round(task, result, answer)
        looked = "" if last.verdict is GateVerdict.FAILED else f" {last.verdict.words}"
        reason = f"gate {last.gate.value}{looked}: {last.detail}"
        return _failed(checked, FailureKind.GATE, reason)

    def _sources(self) -> tuple[str, ...]:
        """Return what `red` takes out first: tests are judged without the change to the source."""
        return tuple(glob for target in self._plan.targets for glob in target.source)

    def _delivery(self, task: Task, result: AttemptResult) -> TestDelivery:
        """Return what a stage says of its tests, on top of the delivery that it revises."""
        now = outputs.test_delivery(task.node, result.values)
        earlier = task.earlier.evidence if task.earlier is not None else None
        return now.on_top_of(earlier.delivery) if isinstance(earlier, RedEvidence) else now

    def _keep_last_round(self, task: Task, result: AttemptResult, answer: str) -> None:
        """Keep what was said and printed, and the refused change, for whoever is next."""
        decided = self._plan.decides_loop(task.node.id)
        folder = inputs.keep_last_round(self._rundir, self._plan, decided, task.node.id, answer)
        delivered = task.red.tree if task.red is not None else self._base.tree
        patch = self._store.patch(delivered, result.tree)
        atomic.write_text(folder / "gates.log", self._bench.take_log(), durable=False)
        atomic.write_bytes(folder / "change.diff", patch, durable=False)
        inputs.note_refused(folder, result.tree)

    def last_round(self, task: Task) -> Path:
        """Return the folder with what a stage's round was sent back with."""
        loop = self._plan.decides_loop(task.node.id)
        return self._rundir.last_round(loop.id if loop is not None else task.node.id)

    def _delivered_tests(self, task: Task, gate: GateName) -> GateResult | None:
        """Return what the red gate saw, with what persons edited since: that is delivered too."""
        if not task.edits:
            return task.red
        if gate is not GateName.UNTAMPERED:
            return task.red and without_taken_away(self._store, task.red, task.edits)
        red = task.red or GateResult(
            gate=GateName.RED, verdict=GateVerdict.PASSED, tree=self._base.tree, detail=""
        )
        tree = red.tree
        for edit in task.edits:
            tree = self._store.graft_paths(tree, edit.tree, set(edit.changed))
        return replace(red, tree=tree)

    def _keep(
        self, task: Task, folder: Path, reply: AgentReply, tree: str, *, is_rejected: bool
    ) -> None:
        """Keep the attempt's answer and its change for people, whatever becomes of them."""
        if reply.text:
            for where in (self._rundir.stage(task.node.id), folder):
                atomic.write_text(where / ANSWER, reply.text, durable=False)
        if tree != task.tree:
            name = f"{task.node.id.replace(':', '.')}.{task.attempt}"
            name += ".rejected.patch" if is_rejected else ".patch"
            patch = self._store.patch(task.tree, tree)
            atomic.write_bytes(self._rundir.folder / "patches" / name, patch, durable=False)


def readable(store: Store, task: Task, tree: str) -> str:
    """Return what a stage may read of a tree; the rules of git are always part of it."""
    reads = task.node.reads
    return tree if reads is None else store.only(tree, (*reads, *_GIT_RULES))


def _denied(denied: tuple[str, ...]) -> str:
    """Say what an agent was not allowed to do; empty if nothing."""
    more = len(denied) - _VIOLATIONS_SHOWN
    shown = ", ".join(denied[:_VIOLATIONS_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"it was not allowed: {excerpt(shown)}" if denied else ""


def _failed(result: AttemptResult, kind: FailureKind, reason: str) -> AttemptResult:
    return replace(result, outcome=Outcome.FAILED, kind=kind, reason=reason)


def _refused(result: AttemptResult, violations: list[Violation]) -> AttemptResult:
    """Fail an attempt for the rules that it broke."""
    violations = list(dict.fromkeys(violations))
    reason = "; ".join(str(one) for one in violations[:_VIOLATIONS_SHOWN])
    more = len(violations) - _VIOLATIONS_SHOWN
    reason += f"; and {more} more" if more > 0 else ""
    failed = _failed(result, FailureKind.VIOLATION, reason)
    is_private = any(one.kind in _PRIVATE for one in violations)
    tree = "" if is_private else result.tree
    return replace(failed, violations=tuple(violations), tree=tree)


def keep_records(
    rundir: RunDir, store: Store, node: Node, records: Sequence[str], result: AttemptResult
) -> None:
    """Keep the records that a stage wrote into the tree: people look for them in its folder."""
    for path in result.changed:
        if globs.matches_any(records, path):
            data = store.read(result.tree, path)
            if data is not None:
                atomic.write_bytes(rundir.stage(node.id) / path, data, durable=False)


def keep_outputs(rundir: RunDir, node: Node, attempt: int) -> None:
    """Keep a stage's outputs: for later stages, for people, and plans in the folder of plans.

    Later stages get its answer too, unless that was taken for an output.
    """
    folder, accepted = rundir.attempt(node.id, attempt), rundir.accepted(node.id)
    targets = [accepted, rundir.stage(node.id)]
    if {"plan", "work"} & set(node.outputs):
        targets.append(rundir.root / PLANS / rundir.run_id)
    remove(accepted)
    names = copy_outputs(folder / "out", *targets)
    answer = folder / ANSWER
    if node.player is None or ANSWER in names or not answer.is_file():
        return
    said = answer.read_bytes().strip()
    if all((accepted / name).read_bytes().strip() != said for name in names):
        atomic.write_bytes(accepted / ANSWER, answer.read_bytes(), durable=False)
