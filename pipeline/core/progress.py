"""How the nodes of a run go forward.

What a node waits for, when a group is complete, what a failure stops.

All indexes of a run are kept here, up to date with each change, so that nothing has to be searched.
"""

import re
from collections.abc import Iterator

import msgspec

from pipeline.core.events import Answered, ApprovalAsked, Outcome, RunEnd, StageFinished
from pipeline.core.memory import OPEN, NodeState, Status
from pipeline.core.ready import ready_of
from pipeline.language.flow import CONTINUE, FAIL
from pipeline.language.plan import Kind, Node, Plan

ASKED_MAX = 3
"""How often a stage may ask persons before it fails."""

_NUMBERS = re.compile(r"\b0x[0-9a-f]+\b|\b\d+(\.\d+)?\b")


class Progress:
    """The nodes of a run and the indexes over them; `core/state` moves it on with each event."""

    def __init__(self, plan: Plan) -> None:
        """Start with nothing begun, and a copy of the plan that can grow."""
        self.plan = msgspec.structs.replace(plan, nodes=dict(plan.nodes))
        self.nodes: dict[str, NodeState] = {}
        self.dependents: dict[str, list[str]] = {}
        self.doomed: str | None = None
        self.doomed_by = ""
        self.needless: str | None = None
        self.follow_up: str | None = None
        self.follow_up_reason = ""
        self.followed: set[str] = set()
        self.active = plan.workflow
        self.stopped = False
        self.ready = ready_of(plan)
        self.conditions: list[str] = []
        self.unfolding: list[str] = []
        self.questions: list[str] = []
        self.asked: dict[str, ApprovalAsked] = {}
        self.running: dict[str, int] = {}
        self.held: set[str] = set()
        self.verdicts: list[str] = []
        self.put_aside: set[str] = set()
        self.sent_back: Answered | None = None
        self.open_roots = 0
        for node in plan.nodes.values():
            self.take_in(node)

    def below(self, node_id: str) -> Iterator[Node]:
        """Go through everything inside a group or loop."""
        return self.plan.below(node_id)

    def take_in(self, node: Node, old: NodeState | None = None) -> None:
        """Begin a node's state, with the attempts it had in an earlier round."""
        fresh = NodeState(unmet=len(node.needs) + 1, remaining=len(node.children))
        if old is not None:
            fresh.attempts, fresh.last, fresh.replies = old.attempts, old.last, old.replies
        else:
            for need in node.needs:
                self.dependents.setdefault(need, []).append(node.id)
        self.nodes[node.id] = fresh

    def activate(self, workflow: str) -> None:
        """Begin (or go on with) a workflow."""
        self.active, self.stopped = workflow, False
        self.forget_what_is_next()
        roots = self.plan.roots[workflow]
        self.open_roots = sum(not self.nodes[root].over for root in roots)
        for root in roots:
            self.meet(root)

    def forget_what_is_next(self) -> None:
        """Empty the indexes of what could be done next."""
        self.ready.clear()
        self.conditions, self.unfolding, self.questions, self.verdicts = [], [], [], []

    def meet(self, node_id: str) -> None:
        """One thing that the node waited for is there."""
        self.nodes[node_id].unmet -= 1
        self.go_on(node_id)

    def go_on(self, node_id: str) -> None:
        """Let a node go on that waits for nothing any more.

        Its condition is asked first, if it has one.
        """
        state = self.nodes[node_id]
        if state.unmet or state.status not in OPEN or node_id in self.asked:
            return
        node = self.plan.nodes[node_id]
        if self._is_in_vain(node):
            return
        if node.when and not state.judged:
            self.conditions.append(node_id)
        else:
            self.enter(node)

    def _is_in_vain(self, node: Node) -> bool:
        return self.stopped or (
            bool(self.verdicts)
            and any(loop.id in self.verdicts for loop in self.plan.loops_around(node.id))
        )

    def enter(self, node: Node) -> None:
        """Let a stage be ready, and what is inside a group."""
        state = self.nodes[node.id]
        if node.is_leaf:
            self.make_ready(node)
            return
        state.status = Status.RUNNING
        if node.kind is Kind.FOREACH and not state.unfolded:
            self.unfolding.append(node.id)
            return
        for child in node.children:
            self.meet(child)
        if not state.remaining:
            self._complete(node)

    def make_ready(self, node: Node) -> None:
        """Let a leaf (or a group's gates) be started as soon as it can."""
        if self._is_in_vain(node):
            return
        state = self.nodes[node.id]
        if node.kind is Kind.APPROVAL or state.wonders:
            self.questions.append(node.id)
        else:
            self.ready.add(node, later=state.parked or state.not_before is not None)

    def unready(self, node: Node) -> None:
        """Take a node out of everything that could be done next."""
        self.ready.remove(node)
        for waiting in (self.conditions, self.unfolding, self.questions):
            if node.id in waiting:
                waiting.remove(node.id)
        self.asked.pop(node.id, None)

    def again_or_failed(self, node: Node, *, again: bool) -> None:
        """Try a stage again, or settle its failure."""
        if again:
            self.nodes[node.id].status = Status.WAITING
            self.make_ready(node)
        else:
            self.settle_failure(node, Status.FAILED)

    def said_instead(self, node: Node, event: StageFinished) -> None:
        """Have a person asked what the stage wants to know, or end the run because there is nothing to do.

        What looks for the cause of a failure cannot say so of the run: there the stage has failed.
        """
        state = self.nodes[node.id]
        if event.outcome is Outcome.ASKS:
            state.revisions += 1
            state.wonders = state.revisions <= ASKED_MAX
            if not state.wonders:
                state.reason = f"it asked for the {state.revisions}th time; last: {state.reason}"
            self.again_or_failed(node, again=state.wonders)
        elif node.workflow != self.plan.workflow:
            self.settle_failure(node, Status.FAILED)
        else:
            self.unready(node)
            state.status, self.needless = Status.DONE, f"{node.id}: {event.reason}"
            self.put_aside.add(node.id)

    def settle_failure(self, node: Node, status: Status) -> None:
        """A stage failed for good.

        Go on without it if it may be missed, else the run cannot succeed.
        """
        state = self.nodes[node.id]
        state.status, state.wonders = status, False
        if node.on_failure == CONTINUE:
            self.over(node, status)
            return
        self.follow_failure(node, state.reason)
        self.doom(
            node,
            f"{node.id} {status.value}: {state.reason}"
            if state.reason
            else f"{node.id} {status.value}",
        )

    def doom(self, node: Node, reason: str) -> None:
        """The run cannot succeed any more because of this one.

        Nothing new is to start, and no question is open.
        """
        if self.doomed is None:
            self.doomed, self.doomed_by = reason, node.id
        self.stopped = True
        verdicts = self.verdicts
        self.forget_what_is_next()
        self.verdicts = verdicts
        for stage in self.asked:
            self.nodes[stage].status, self.nodes[stage].reason = Status.PENDING, ""
        self.asked.clear()
        self.sent_back = None

    def ask_verdict(self, loop: Node, told: tuple[str, ...], tree: str) -> None:
        """Have a loop judged: its round has failed, and this is why."""
        failure = "\n".join(sorted(_NUMBERS.sub("#", line) for line in told))
        self.nodes[loop.id].history.append((failure, tree))
        self.nodes[loop.id].told = told
        self.verdicts.append(loop.id)
        for node in self.below(loop.id):
            self.unready(node)

    def over(self, node: Node, status: Status) -> None:
        """A node is over, one way or another.

        What waits for it goes on, and its group may be complete.
        """
        state = self.nodes[node.id]
        state.status, state.over = status, True
        for dependent in self.dependents.get(node.id, ()):
            self.meet(dependent)
        if node.parent is None:
            self.open_roots -= node.workflow == self.active
            return
        parent, around = self.plan.nodes[node.parent], self.nodes[node.parent]
        around.remaining -= 1
        if not around.remaining and around.status is Status.RUNNING:
            self._complete(parent)

    def _complete(self, group: Node) -> None:
        """All of a group is over: its loop is judged, its gates are asked, or it is done too.

        The last one inside that is over, and whoever enters a group that is complete already, both
        come here.
        """
        if self.nodes[group.id].over or group.id in self.verdicts:
            return
        if group.kind is Kind.LOOP:
            self.verdicts.append(group.id)
        elif group.gates:
            self.make_ready(group)
        else:
            self.over(group, Status.DONE)

    def follow_failure(self, node: Node, reason: str) -> None:
        """Have the workflow that looks for the cause of a failure started, if the flow names one and it was not."""
        name = node.loop.on_exhausted if node.loop is not None else node.on_failure
        if name not in {FAIL, CONTINUE} and name not in self.followed and self.follow_up is None:
            self.follow_up, self.follow_up_reason = (
                name,
                f"{node.id}: {reason}" if reason else f"{node.id} failed",
            )

    def put_aside_as(self, node_id: str, end: RunEnd) -> Status:
        """Say what becomes of a stage that is not over when the run ends.

        What waited to be tried again has failed.
        """
        state = self.nodes[node_id]
        if end is RunEnd.CANCELLED and self.plan.nodes[node_id].workflow == self.active:
            return Status.CANCELLED
        failed = (
            state.status is Status.WAITING
            and state.last is not None
            and state.last.outcome is Outcome.FAILED
        )
        return Status.FAILED if failed else Status.SKIPPED
