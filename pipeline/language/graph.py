"""The graph of a workflow: its order, its critical path, and why two stages can run at once or not.

Only this module imports networkx, and only commands like `flow show` and `flow graph` use it, never
a run.
"""

from collections.abc import Mapping, Sequence

import msgspec
import networkx as nx

from pipeline.language.flow_order import StageOrder
from pipeline.language.plan import Kind, Node, Plan


class TimedPath(msgspec.Struct, frozen=True):
    """A path through a workflow, and how long it takes at most."""

    stages: tuple[str, ...]
    duration_s: float


def generations(plan: Plan, siblings: Sequence[str]) -> list[list[str]]:
    """Return the stages of one level in columns.

    Each stage is in the first column after all that it needs.
    """
    order = {name: index for index, name in enumerate(siblings)}
    return [
        sorted(names, key=order.__getitem__)
        for names in nx.topological_generations(_graph(plan.nodes, siblings))
    ]


def edges(plan: Plan, siblings: Sequence[str]) -> list[tuple[str, str]]:
    """Return which stage needs which, without the edges that follow from others."""
    reduced = nx.transitive_reduction(_graph(plan.nodes, siblings))
    return [(one, other) for one, other in reduced.edges if other in siblings]


def _graph(nodes: Mapping[str, Node], siblings: Sequence[str]) -> "nx.DiGraph[str]":
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(siblings)
    graph.add_edges_from((need, name) for name in siblings for need in nodes[name].needs)
    return graph


def critical_path(plan: Plan, workflow: str) -> TimedPath:
    """Return the critical path: the longest that a workflow can take.

    Every attempt, round and item is counted up to its limit; time spent waiting for locks, quotas
    and people is not included.
    """
    nodes = {**plan.nodes, **{node.id: node for body in plan.bodies.values() for node in body}}
    return _longest(nodes, plan, plan.roots[workflow])


def _longest(nodes: Mapping[str, Node], plan: Plan, siblings: Sequence[str]) -> TimedPath:
    paths_of = {name: _path_of(nodes, plan, nodes[name]) for name in siblings}
    best: dict[str, TimedPath] = {}
    for name in nx.topological_sort(_graph(nodes, siblings)):
        before = max(
            (best[need] for need in nodes[name].needs), key=_length, default=TimedPath((), 0.0)
        )
        best[name] = TimedPath(
            (*before.stages, *paths_of[name].stages), before.duration_s + paths_of[name].duration_s
        )
    return max(best.values(), key=_length, default=TimedPath((), 0.0))


def _length(path: TimedPath) -> tuple[float, int]:
    return path.duration_s, len(path.stages)


def _path_of(nodes: Mapping[str, Node], plan: Plan, node: Node) -> TimedPath:
    match node.kind:
        case Kind.LOOP:
            inside = _longest(nodes, plan, node.children)
            return TimedPath(inside.stages, inside.duration_s * (node.loop.max if node.loop else 1))
        case Kind.FOREACH:
            roots = [
                inner.id for inner in plan.bodies[node.body] if inner.parent == f"{node.body}:*"
            ]
            inside = _longest(nodes, plan, roots)
            return TimedPath(
                inside.stages, inside.duration_s * (node.foreach.max if node.foreach else 1)
            )
        case Kind.PARALLEL | Kind.WORKFLOW | Kind.ITEM:
            return _longest(nodes, plan, node.children)
        case Kind.APPROVAL | Kind.PUBLISH:
            return TimedPath((node.id,), 0.0)
        case _:
            return TimedPath((node.id,), node.timeout_s * (1 + node.retry.max))


def why_parallel(order: StageOrder, one: str, other: str) -> tuple[bool, list[str]]:
    """Return whether two stages may run at once, and every reason for or against it."""
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
            path = (
                nx.shortest_path(graph, first, last)
                if nx.has_path(graph, first, last)
                else [first, last]
            )
            against.append(f"{last} waits for {first}: " + " -> ".join(path))
    shared = sorted(set(steps[one].stage.lock) & set(steps[other].stage.lock))
    against += [f"both hold the lock {lock}" for lock in shared]
    if against:
        return False, against
    writers = [name for name in (one, other) if steps[name].writes]
    written = [
        "they write different paths"
        if len(writers) == 2
        else f"only {writers[0]} writes"
        if writers
        else "neither writes"
    ]
    return True, ["no path of `needs` leads from one to the other", "they share no lock", *written]


def _beside(step: str, need: str) -> str:
    """Return the id of the stage that a `needs` of this step means: one with the same prefix."""
    head, colon, _ = step.rpartition(":")
    return f"{head}{colon}{need}"


def _is_inside(outer: tuple[str | int, ...], inner: tuple[str | int, ...]) -> bool:
    return len(inner) == len(outer) + 2 and inner[: len(outer)] == outer
