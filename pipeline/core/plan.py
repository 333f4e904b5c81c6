"""A flow compiled for one workflow: a flat table of nodes, every default filled in.

A node is a stage or a group of stages. Its id is its name; stages of a follow-up workflow (one
that a loop names in `on_exhausted`) carry that workflow's name in front: `triage:sdk_analyst`.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec

from pipeline.core.flow import Flow, GateName, Glob, Lock, Loop, Output, Publish, Retry, Stage, Target

FAIL = "fail"


class Kind(StrEnum):
    """What a node is."""

    AGENT = "agent"
    RUN = "run"
    PUBLISH = "publish"
    PARALLEL = "parallel"
    LOOP = "loop"


class Player(msgspec.Struct, frozen=True, kw_only=True):
    """Who plays an agent stage: role, back end, command line, prompt template."""

    role: str
    backend: str
    command: tuple[str, ...]
    model: str
    prompt: str
    pass_env: tuple[str, ...]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One stage or group, with its place in the graph and everything it may do."""

    id: str
    kind: Kind
    workflow: str
    order: int
    parent: str | None = None
    children: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    must_change: bool = False
    outputs: dict[str, Output] = {}
    gates: tuple[GateName, ...] = ()
    retry: Retry = Retry()
    timeout_s: float = 1800.0
    idle_timeout_s: float = 1800.0
    env: dict[str, str] = {}
    mode: str = ""
    player: Player | None = None
    command: str = ""
    loop: Loop | None = None
    until: str | None = None
    publish: Publish | None = None

    @property
    def is_leaf(self) -> bool:
        """A leaf does something itself; the others hold stages."""
        return self.kind in {Kind.AGENT, Kind.RUN, Kind.PUBLISH}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run needs to know of its flow; stored with the run."""

    workflow: str
    nodes: dict[str, Node]
    roots: dict[str, tuple[str, ...]]
    locks: dict[str, Lock]
    targets: tuple[Target, ...]
    records: tuple[str, ...]
    parallel: int

    def leaves(self) -> Iterator[Node]:
        """Go through the nodes that do something, in declared order."""
        return (node for node in self.nodes.values() if node.is_leaf)

    def loops_around(self, node_id: str) -> Iterator[Node]:
        """Go through the loops around a node, the innermost first."""
        parent = self.nodes[node_id].parent
        while parent is not None:
            if self.nodes[parent].kind is Kind.LOOP:
                yield self.nodes[parent]
            parent = self.nodes[parent].parent

    def decides_loop(self, node_id: str) -> Node | None:
        """Return the loop whose `until` asks this node, if there is one."""
        parent = self.nodes[node_id].parent
        loop = self.nodes[parent] if parent else None
        return loop if loop is not None and loop.until == node_id else None


def compile_plan(flow: Flow, workflow: str) -> Plan:
    """Compile one workflow and those that its loops can call; the flow must have passed the checks."""
    nodes: dict[str, Node] = {}
    roots: dict[str, tuple[str, ...]] = {}
    waiting = [workflow]
    while waiting:
        name = waiting.pop(0)
        if name in roots:
            continue
        prefix = "" if name == workflow else f"{name}:"
        compiler = _Compiler(flow, name, prefix, nodes)
        roots[name] = compiler.add_all(flow.workflows[name].stages, None)
        waiting += compiler.follow_ups
    return Plan(
        workflow=workflow,
        nodes=nodes,
        roots=roots,
        locks={name: expand_lock(flow, lock) for name, lock in flow.locks.items()},
        targets=flow.targets,
        records=flow.records,
        parallel=flow.limits.parallel,
    )


def expand_lock(flow: Flow, lock: Lock) -> Lock:
    """Put the targets' paths in the place of `{{ source }}` and `{{ tests }}`."""
    return Lock(paths=expand_globs(flow, lock.paths), scope=lock.scope)


def expand_globs(flow: Flow, patterns: tuple[Glob, ...]) -> tuple[Glob, ...]:
    """Put the targets' paths in the place of `{{ source }}` and `{{ tests }}`."""
    known: Mapping[str, list[Glob]] = {
        "source": [glob for target in flow.targets for glob in target.source],
        "tests": [glob for target in flow.targets for glob in target.tests],
    }
    out: list[Glob] = []
    for pattern in patterns:
        name = pattern.removeprefix("{{").removesuffix("}}").strip() if pattern.startswith("{{") else ""
        out += known.get(name, [pattern])
    return tuple(out)


class _Compiler:
    """Adds one workflow's stages to the table, with ids under a prefix."""

    def __init__(self, flow: Flow, workflow: str, prefix: str, nodes: dict[str, Node]) -> None:
        self.flow = flow
        self.workflow = workflow
        self.prefix = prefix
        self.nodes = nodes
        self.follow_ups: list[str] = []

    def add_all(self, stages: Mapping[str, Stage], parent: str | None) -> tuple[str, ...]:
        return tuple(self._add(name, stage, parent) for name, stage in stages.items())

    def _add(self, name: str, stage: Stage, parent: str | None) -> str:
        node_id = self.prefix + name
        order = len(self.nodes)
        self.nodes[node_id] = Node(id=node_id, kind=Kind.RUN, workflow=self.workflow, order=order)
        inner = stage.parallel or stage.stages or {}
        children = self.add_all(inner, node_id)
        if stage.loop and stage.loop.on_exhausted != FAIL:
            self.follow_ups.append(stage.loop.on_exhausted)
        defaults = self.flow.defaults
        held = [path for lock in stage.lock for path in expand_lock(self.flow, self.flow.locks[lock]).paths]
        self.nodes[node_id] = Node(
            id=node_id,
            kind=kind_of(stage),
            workflow=self.workflow,
            order=order,
            parent=parent,
            children=children,
            needs=tuple(self.prefix + need for need in stage.needs),
            locks=tuple(sorted(stage.lock)),
            writes=(*held, *expand_globs(self.flow, stage.writes)),
            must_change=bool(held),
            outputs=stage.outputs,
            gates=stage.gates,
            retry=stage.retry or defaults.retry,
            timeout_s=stage.timeout or defaults.timeout,
            idle_timeout_s=stage.idle_timeout or defaults.idle_timeout,
            env=stage.env,
            mode=stage.mode,
            player=self._player(stage),
            command=stage.run or "",
            loop=stage.loop,
            until=self.prefix + until_stage(stage.loop) if stage.loop else None,
            publish=stage.publish,
        )
        return node_id

    def _player(self, stage: Stage) -> Player | None:
        if stage.agent is None:
            return None
        role, defaults = self.flow.agents[stage.agent], self.flow.defaults
        return Player(
            role=stage.agent,
            backend=role.backend or defaults.backend,
            command=defaults.command if role.command is None else role.command,
            model=defaults.model if role.model is None else role.model,
            prompt=role.prompt,
            pass_env=defaults.pass_env if role.pass_env is None else role.pass_env,
        )


def kind_of(stage: Stage) -> Kind:
    """Tell a stage's kind; the checks make sure that exactly one key says it."""
    if stage.agent is not None:
        return Kind.AGENT
    if stage.run is not None:
        return Kind.RUN
    if stage.parallel is not None:
        return Kind.PARALLEL
    return Kind.LOOP if stage.loop is not None else Kind.PUBLISH


def until_stage(loop: Loop) -> str:
    """Return the stage that a loop's `until: STAGE.passed` names."""
    return loop.until.removesuffix(".passed").strip()
