"""The picture of a workflow.

Its order, its longest way, and why two stages may or may not run at once.

The door to networkx; only `flow show`, `flow graph` and their like come here, never a run.
"""

from collections.abc import Mapping, Sequence

import msgspec
import networkx as nx

from pipeline.language.flow_order import Order
from pipeline.language.plan import Kind, Node, Plan


class Way(msgspec.Struct, frozen=True):
    """A way through a workflow and how long it takes at most, in seconds."""

    stages: tuple[str, ...]
    seconds: float


def generations(plan: Plan, siblings: Sequence[str]) -> list[list[str]]:
    """Put stages that stand beside each other into columns.

    Each as soon as what it needs is over.
    """
    order = {name: index for index, name in enumerate(siblings)}
    return [
        sorted(names, key=order.__getitem__)
        for names in nx.topological_generations(_graph(plan.nodes, siblings))
    ]


def edges(plan: Plan, siblings: Sequence[str]) -> list[tuple[str, str]]:
    """List who waits for whom, without the arrows that follow from others."""
    reduced = nx.transitive_reduction(_graph(plan.nodes, siblings))
    return [(one, other) for one, other in reduced.edges if other in siblings]


def _graph(nodes: Mapping[str, Node], siblings: Sequence[str]) -> "nx.DiGraph[str]":
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(siblings)
    graph.add_edges_from((need, name) for name in siblings for need in nodes[name].needs)
    return graph


def longest(plan: Plan, workflow: str) -> Way:
    """Find the critical path.

    The longest a workflow can take, every attempt, round and item used up to its limit.

    Time spent waiting for locks, quotas and persons is not in it.
    """
    nodes = {**plan.nodes, **{node.id: node for body in plan.bodies.values() for node in body}}
    return _longest(nodes, plan, plan.roots[workflow])


def _longest(nodes: Mapping[str, Node], plan: Plan, siblings: Sequence[str]) -> Way:
    ways = {name: _way_of(nodes, plan, nodes[name]) for name in siblings}
    best: dict[str, Way] = {}
    for name in nx.topological_sort(_graph(nodes, siblings)):
        before = max((best[need] for need in nodes[name].needs), key=_length, default=Way((), 0.0))
        best[name] = Way((*before.stages, *ways[name].stages), before.seconds + ways[name].seconds)
    return max(best.values(), key=_length, default=Way((), 0.0))


def _length(way: Way) -> tuple[float, int]:
    return way.seconds, len(way.stages)


def _way_of(nodes: Mapping[str, Node], plan: Plan, node: Node) -> Way:
    match node.kind:
        case Kind.LOOP:
            inside = _longest(nodes, plan, node.children)
            return Way(inside.stages, inside.seconds * (node.loop.max if node.loop else 1))
        case Kind.FOREACH:
            roots = [
                inner.id for inner in plan.bodies[node.body] if inner.parent == f"{node.body}:*"
            ]
            inside = _longest(nodes, plan, roots)
            return Way(inside.stages, inside.seconds * (node.foreach.max if node.foreach else 1))
        case Kind.PARALLEL | Kind.WORKFLOW | Kind.ITEM:
            return _longest(nodes, plan, node.children)
        case Kind.APPROVAL | Kind.PUBLISH:
            return Way((node.id,), 0.0)
        case _:
            return Way((node.id,), node.timeout_s * (1 + node.retry.max))


def why_parallel(order: Order, one: str, other: str) -> tuple[bool, list[str]]:
    """Say whether two stages may run at once, and every reason for or against it."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    steps = order.steps
    graph.add_nodes_from(steps)
    for step in steps.values():
        graph.add_edges_from((_beside(step.id, need), step.id) for need in step.stage.needs)
        graph.add_edges_from(
            (step.id, inner.id) for inner in steps.values() if _is_inside(step.path, inner.path)
        )
    against = []
    for first, last in ((one, other), (other, one)):
        if order.is_before(first, last):
            way = (
                nx.shortest_path(graph, first, last)
                if nx.has_path(graph, first, last)
                else [first, last]
            )
            against.append(f"{last} waits for {first}: " + " -> ".join(way))
    shared = sorted(set(steps[one].stage.lock) & set(steps[other].stage.lock))
    against += [f"both hold the lock {lock}" for lock in shared]
    if against:
        return False, against
    writers = [name for name in (one, other) if steps[name].writes]
    paths = [
        "they write apart"
        if len(writers) == 2
        else f"{writers[0]} alone writes"
        if writers
        else "neither writes"
    ]
    return True, ["no path of `needs` leads from one to the other", "they share no lock", *paths]


def _beside(step: str, need: str) -> str:
    """Name the stage that a `needs` of this step means: one under the same prefix."""
    head, colon, _ = step.rpartition(":")
    return f"{head}{colon}{need}"


def _is_inside(outer: tuple[str | int, ...], inner: tuple[str | int, ...]) -> bool:
    return len(inner) == len(outer) + 2 and inner[: len(outer)] == outer
