"""A flow compiled for one workflow: a flat table of nodes, with every default filled in.

A node is a stage or a group of stages, and its id is its name. The ids of stages in a follow-up
workflow (one that `on_exhausted` or `on_failure` names) begin with that workflow's name,
`triage:sdk_analyst`; in a called workflow with the calling stage's name; and in a foreach also with
the item's key: `port:linux:build`.
"""

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from pipeline.language.flow import (
    Approval,
    Foreach,
    GateName,
    Input,
    Lock,
    Loop,
    May,
    Output,
    Retry,
    StageLimits,
)
from pipeline.language.publishing import Publish
from pipeline.language.target import Target, WorkspaceNeeds
from pipeline.language.words import Template


class Kind(StrEnum):
    """The kind of a node."""

    AGENT = "agent"
    RUN = "run"
    PUBLISH = "publish"
    APPROVAL = "approval"
    PARALLEL = "parallel"
    LOOP = "loop"
    FOREACH = "foreach"
    ITEM = "item"
    WORKFLOW = "workflow"


LEAVES = frozenset({Kind.AGENT, Kind.RUN, Kind.PUBLISH, Kind.APPROVAL})
"""Kinds that do work themselves; the others contain stages."""


class Player(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent stage is run: role, back end, command line, prompt template."""

    role: str
    backend: str
    command: tuple[str, ...]
    model: str
    prompt: str
    pass_env: tuple[str, ...]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One stage or group, with its place in the graph and everything it may do.

    `refs` maps the first word of each name in an expression to the node it means. `call` is the
    stage that called the workflow of this node, `item` the foreach item it belongs to; both are
    empty for most. `body` names the entry of `Plan.bodies` from which a foreach makes its items.
    """

    id: str
    kind: Kind
    workflow: str
    order: tuple[int, ...]
    parent: str | None = None
    children: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    when: str = ""
    refs: dict[str, str] = {}
    locks: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    reads: tuple[str, ...] | None = None
    must_change: bool = False
    may: tuple[May, ...] = ()
    outputs: dict[str, Output] = {}
    gates: tuple[GateName, ...] = ()
    gates_first: bool = False
    retry: Retry = Retry()
    on_failure: str = "fail"
    timeout_s: float = 1800.0
    idle_timeout_s: float = 1800.0
    limits: StageLimits = StageLimits()
    env: dict[str, Template] = {}
    inputs: dict[str, Template] = {}
    mode: str = ""
    player: Player | None = None
    command: str = ""
    loop: Loop | None = None
    until: str | None = None
    foreach: Foreach | None = None
    body: str = ""
    approval: Approval | None = None
    publish: Publish | None = None
    call: str = ""
    item: str = ""

    @property
    def is_leaf(self) -> bool:
        """Whether it does work itself instead of containing stages."""
        return self.kind in LEAVES


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run needs to know about its flow; stored with the run.

    When the items of a foreach are known, their nodes are added to the run's own copy of `nodes`.
    """

    workflow: str
    nodes: dict[str, Node]
    roots: dict[str, tuple[str, ...]]
    locks: dict[str, Lock]
    targets: tuple[Target, ...]
    records: tuple[str, ...]
    parallel: int
    bodies: dict[str, tuple[Node, ...]] = {}
    inputs: dict[str, dict[str, Input]] = {}
    usd: float | None = None
    tokens: int | None = None
    wall_s: float | None = None
    workspace: WorkspaceNeeds = WorkspaceNeeds()

    def leaves(self) -> Iterator[Node]:
        """Yield the nodes that do work themselves, in declared order."""
        return (node for node in self.nodes.values() if node.is_leaf)

    def below(self, node_id: str) -> Iterator[Node]:
        """Yield everything inside a group."""
        for child in self.nodes[node_id].children:
            yield self.nodes[child]
            yield from self.below(child)

    def around(self, node_id: str) -> Iterator[Node]:
        """Yield the groups around a node, the innermost first."""
        parent = self.nodes[node_id].parent
        while parent is not None:
            yield self.nodes[parent]
            parent = self.nodes[parent].parent

    def needed_leaves(self, node_id: str) -> Iterator[str]:
        """Yield the stages that a node, or a group around it, needs directly."""
        for one in (self.nodes[node_id], *self.around(node_id)):
            for need in one.needs:
                if self.nodes[need].is_leaf:
                    yield need
                yield from (inner.id for inner in self.below(need) if inner.is_leaf)

    def loops_around(self, node_id: str) -> Iterator[Node]:
        """Yield the loops around a node, the innermost first."""
        return (node for node in self.around(node_id) if node.kind is Kind.LOOP)

    def decides_loop(self, node_id: str) -> Node | None:
        """Return the loop whose `until` names this node, if there is one."""
        parent = self.nodes[node_id].parent
        loop = self.nodes[parent] if parent else None
        return loop if loop is not None and loop.until == node_id else None
