"""The state of a run: what its events say, in parts that each know one thing.

Nothing here moves by itself: `core/fold` takes events in, `core/progress` and `core/going_back`
move the nodes, `core/decide` says what comes next. No clock, no files.
"""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from pipeline.core.budget import budget_of
from pipeline.core.effects import Effects
from pipeline.core.events import (
    Answered,
    ApprovalAsked,
    PersonEdited,
    RunFinished,
    RunParked,
    RunStarted,
    TokensFound,
)
from pipeline.core.evidence import GateResult
from pipeline.core.memory import NodeState, Status
from pipeline.core.outcomes import NOT_STOPPED_EXIT_CODE, RunEnd, StopReason
from pipeline.core.ready import Ready, ready_of
from pipeline.language.flow import GateName
from pipeline.language.plan import Node, Plan


class Agenda(msgspec.Struct):
    """Indexes of what runs and what could be done next, so that nothing is searched.

    `conditions`, `unfolding` and `questions` name the nodes whose condition, list of items or
    question comes next, `asked` the open questions; `undecided` are loops that wait for a decision.
    `running` maps a stage to its attempt, `held` are the locks those hold. `open_roots` counts the
    top nodes of the active workflow that are not over.
    """

    ready: Ready
    conditions: list[str] = []
    unfolding: list[str] = []
    questions: list[str] = []
    asked: dict[str, ApprovalAsked] = {}
    undecided: list[str] = []
    running: dict[str, int] = {}
    held: set[str] = set()
    open_roots: int = 0

    def clear(self, *, loops: bool = True) -> None:
        """Forget what could be done next; with `loops` also which loops wait for a decision."""
        self.ready.clear()
        self.conditions, self.unfolding, self.questions = [], [], []
        if loops:
            self.undecided = []

    def open_question(self, event: ApprovalAsked) -> None:
        """Note that a person was asked; asked again, the newest question counts."""
        self.questions = [stage for stage in self.questions if stage != event.stage]
        self.asked[event.stage] = event

    def withdraw(self, node: Node) -> None:
        """Take a node out of everything that could be done next."""
        self.ready.remove(node)
        for waiting in (self.conditions, self.unfolding, self.questions):
            if node.id in waiting:
                waiting.remove(node.id)
        self.asked.pop(node.id, None)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run cannot succeed any more, and the node that is to blame."""

    node: str
    reason: str


class Declined(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's word that there is nothing to do, and the stage that said so."""

    node: str
    reason: str


class FollowUp(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow that is to look for the cause of a failure."""

    workflow: str
    reason: str


class Course(msgspec.Struct):
    """Which workflow goes on, and how the run can still end.

    `is_stopped` means that nothing new is started in the active workflow. `declined` is what an
    agent said because there is nothing to do. `followed` are the follow-up workflows that were
    started, `not_started` the nodes that the end of the run found not begun.
    """

    active: str
    is_stopped: bool = False
    failure: Failure | None = None
    declined: Declined | None = None
    follow_up: FollowUp | None = None
    followed: set[str] = set()
    not_started: set[str] = set()


class Requests(msgspec.Struct):
    """What persons want of the run.

    `cancel` is the reason to end all of it, `cancelled_stages` those to end running stages. `only`
    is the one stage to run. `revision` is an answer that sends back what an approval looked at.
    """

    publish: bool
    cancel: str | None = None
    cancelled_stages: dict[str, str] = {}
    only: str | None = None
    revision: Answered | None = None


class Product(msgspec.Struct):
    """What the run made: its newest tree and commit (empty: the base), values for conditions.

    `approved` maps a stage to the tree that a person approved. `edits` are those of persons,
    `edits_since_red` those since tests were delivered. `results` counts accepted attempts. `tokens`
    is what looked like one when the tree was to be published, `allowed` the files of it (each with
    the tree) that a person has looked at.
    """

    tree: str = ""
    commit: str = ""
    values: dict[str, dict[str, object]] = {}
    approved: dict[str, str] = {}
    edits: list[PersonEdited] = []
    edits_since_red: tuple[PersonEdited, ...] = ()
    results: int = 0
    tokens: TokensFound | None = None
    allowed: set[tuple[str, str]] = set()

    def add_edit(self, event: PersonEdited) -> None:
        """Take in what a person edited."""
        self.tree, self.commit = event.tree, event.commit
        self.edits.append(event)
        self.edits_since_red = (*self.edits_since_red, event)


class WorkTime(msgspec.Struct):
    """Awake seconds that were worked on the run: by earlier processes, and by the newest one."""

    earlier_s: float = 0.0
    newest_s: float = 0.0

    @property
    def total_s(self) -> float:
        """All of it."""
        return self.earlier_s + self.newest_s


class RunState:
    """Everything that is known of a run, from its events alone."""

    def __init__(self, plan: Plan, started: RunStarted) -> None:
        """Start with nothing begun, and a copy of the plan that can grow; `core/fold` makes it."""
        self.plan = msgspec.structs.replace(plan, nodes=dict(plan.nodes))
        self.started = started
        self.nodes: dict[str, NodeState] = {}
        self.dependents: dict[str, list[str]] = {}
        self.agenda = Agenda(ready_of(plan))
        self.course = Course(plan.workflow)
        self.requests = Requests(started.publish)
        self.product = Product()
        self.effects = Effects()
        self.budget = budget_of(plan)
        self.time = WorkTime()
        self.parked: RunParked | None = None
        self.finished: RunFinished | None = None
        self.ended_attempts = 0
        self.notes: list[str] = []
        self._reached: dict[str, frozenset[str]] = {}
        for node in plan.nodes.values():
            self.add_node(node)

    def add_node(self, node: Node, old: NodeState | None = None) -> None:
        """Begin a node's state; attempts, costs and replies of an earlier round are kept."""
        fresh = NodeState(unmet=len(node.needs) + 1, remaining=len(node.children))
        if old is not None:
            fresh.attempts, fresh.calls, fresh.spent = old.attempts, old.calls, old.spent
            fresh.runs, fresh.refused = old.runs, old.refused
            fresh.last, fresh.last_number, fresh.replies = old.last, old.last_number, old.replies
        else:
            for need in node.needs:
                self.dependents.setdefault(need, []).append(node.id)
        self.nodes[node.id] = fresh
        self._reached.clear()

    def reached(self, node_id: str) -> frozenset[str]:
        """Return the stages that a node comes after by its needs, near or far."""
        waiting = [node_id]
        while waiting:
            one = waiting[-1]
            direct = set(self.plan.needed_leaves(one))
            unknown = [other for other in direct if other not in self._reached]
            if unknown:
                waiting += unknown
                continue
            further = (self._reached[other] for other in direct)
            self._reached[one] = frozenset(direct.union(*further))
            waiting.pop()
        return self._reached[node_id]

    def below(self, node_id: str) -> Iterator[Node]:
        """Yield everything inside a group or loop."""
        return self.plan.below(node_id)

    @property
    def end(self) -> RunEnd | None:
        """How the run ended; None as long as it has not."""
        return self.finished.end if self.finished is not None else None

    @property
    def finished_at(self) -> datetime | None:
        """When it ended."""
        return self.finished.at if self.finished is not None else None

    @property
    def reason(self) -> str:
        """Why it ended, why it cannot succeed, or what it waits for; empty while all is well."""
        if self.finished is not None and self.finished.reason:
            return self.finished.reason
        if self.course.failure is not None:
            return self.course.failure.reason
        return self.parked.reason if self.parked is not None else ""

    @property
    def stop(self) -> StopReason | None:
        """Why the run stopped; None while it is worked on, or if its process was killed."""
        if self.finished is not None:
            return self.finished.stop or StopReason(self.finished.end.value)
        if self.agenda.asked and (self.parked is None or self.parked.stop.waits_for_person):
            return StopReason.ANSWER_WANTED
        return self.parked.stop if self.parked is not None else None

    @property
    def exit_code(self) -> int:
        """The exit status that follows from why it stopped: the one place that says so."""
        return NOT_STOPPED_EXIT_CODE if self.stop is None else self.stop.exit_code

    @property
    def is_all_over(self) -> bool:
        """Whether every stage of the active workflow is over."""
        return self.agenda.open_roots == 0

    @property
    def cost_usd(self) -> float | None:
        """What all attempts of this run reported to have cost; None when none of them did."""
        costs = [node.spent.cost_usd for node in self.nodes.values()]
        reported = [cost for cost in costs if cost is not None]
        return sum(reported) if reported else None

    def gate_results(self) -> list[tuple[str, GateResult]]:
        """List the newest result of every gate with its stage, in the order of the flow."""
        return [
            (node.id, gate)
            for node in self.plan.nodes.values()
            if (last := self.nodes[node.id].last) is not None
            for gate in last.gates
        ]

    def newest_gate(self, name: GateName, *, passed: bool = False) -> GateResult | None:
        """Return the newest result of one gate; with `passed` the newest that passed."""
        results = [
            (self.nodes[stage].last_number, gate)
            for stage, gate in self.gate_results()
            if gate.gate is name and (gate.passed or not passed)
        ]
        return max(results, key=lambda result: result[0])[1] if results else None

    def stage_word(self, node: Node) -> str:
        """Return a node's state in one word; `ready` is derived, not stored."""
        state = self.nodes[node.id]
        is_open = state.status in {Status.PENDING, Status.WAITING}
        if is_open and state.not_before is None and state.parked is None:
            return "ready" if node in self.agenda.ready else state.status.value
        return state.status.value
