"""A flow compiled for one workflow: a flat table of nodes, every default filled in.

A node is a stage or a group of stages. Its id is its name. Stages of a follow-up workflow (one that
`on_exhausted` or `on_failure` names) carry that workflow's name in front, `triage:sdk_analyst`;
stages of a called workflow the calling stage's, and those of a foreach also the item's key:
`port:linux:build`.
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
    Publish,
    Retry,
    StageLimits,
)
from pipeline.language.target import Target, Workspace
from pipeline.language.words import Template


class Kind(StrEnum):
    """What a node is."""

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
"""Kinds that do something themselves; the others hold stages."""


class Player(msgspec.Struct, frozen=True, kw_only=True):
    """Who plays an agent stage: role, back end, command line, prompt template."""

    role: str
    backend: str
    command: tuple[str, ...]
    model: str
    prompt: str
    pass_env: tuple[str, ...]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One stage or group, with its place in the graph and everything it may do.

    `refs` maps the first word of each name in an expression to the node it means. `call` is the
    stage that called the workflow this node belongs to, `item` the foreach item it belongs to; both
    empty for most. `body` names the entry of `Plan.bodies` that a foreach makes its items from.
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
        """A leaf does something itself; the others hold stages."""
        return self.kind in LEAVES


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run needs to know of its flow; stored with the run.

    A foreach adds the nodes of its items to `nodes` of the run's own copy, when they are known.
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
    workspace: Workspace = Workspace()

    def leaves(self) -> Iterator[Node]:
        """Go through the nodes that do something, in declared order."""
        return (node for node in self.nodes.values() if node.is_leaf)

    def below(self, node_id: str) -> Iterator[Node]:
        """Go through everything inside a group."""
        for child in self.nodes[node_id].children:
            yield self.nodes[child]
            yield from self.below(child)

    def around(self, node_id: str) -> Iterator[Node]:
        """Go through the groups around a node, the innermost first."""
        parent = self.nodes[node_id].parent
        while parent is not None:
            yield self.nodes[parent]
            parent = self.nodes[parent].parent

    def loops_around(self, node_id: str) -> Iterator[Node]:
        """Go through the loops around a node, the innermost first."""
        return (node for node in self.around(node_id) if node.kind is Kind.LOOP)

    def decides_loop(self, node_id: str) -> Node | None:
        """Return the loop whose `until` asks this node, if there is one."""
        parent = self.nodes[node_id].parent
        loop = self.nodes[parent] if parent else None
        return loop if loop is not None and loop.until == node_id else None
