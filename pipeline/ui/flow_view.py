"""A flow for people: its plan in order, as a tree, and as Mermaid."""

from collections.abc import Iterator, Sequence

import msgspec

from pipeline.language import graph
from pipeline.language.plan import Kind, Node, Plan
from pipeline.ui.text import Printer, seconds


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One stage as `flow show` shows it; `depth` counts the groups around it."""

    stage: str
    depth: int
    kind: str
    does: str
    needs: tuple[str, ...]
    when: str
    locks: tuple[str, ...]
    writes: tuple[str, ...]
    gates: tuple[str, ...]
    outputs: tuple[str, ...]
    limits: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow as `flow show --json` prints it."""

    schema_version: int = 1
    workflow: str
    stages: tuple[Row, ...]
    critical_path: tuple[str, ...]
    longest_s: float
    limits: dict[str, float | int | None]


def shown(plan: Plan) -> Shown:
    """Gather a workflow's plan in the order its stages can run."""
    longest = graph.critical_path(plan, plan.workflow)
    return Shown(
        workflow=plan.workflow,
        stages=tuple(
            _row(node, depth) for node, depth in in_order(plan, plan.roots[plan.workflow], 0)
        ),
        critical_path=longest.stages,
        longest_s=longest.duration_s,
        limits={
            "parallel": plan.parallel,
            "usd": plan.usd,
            "tokens": plan.tokens,
            "wall_s": plan.wall_s,
        },
    )


def in_order(plan: Plan, siblings: Sequence[str], depth: int) -> Iterator[tuple[Node, int]]:
    """Go through stages in the order they can run, each group followed by what is inside it."""
    for column in graph.generations(plan, siblings):
        for name in column:
            yield plan.nodes[name], depth
            inside, children = inside_of(plan, plan.nodes[name])
            yield from in_order(inside, children, depth + 1)


def inside_of(plan: Plan, node: Node) -> tuple[Plan, tuple[str, ...]]:
    """Return what stands inside a group, with a plan that knows it; for a foreach its body."""
    if node.kind is not Kind.FOREACH:
        return plan, node.children
    body = {inner.id: inner for inner in plan.bodies[node.body]}
    roots = tuple(name for name, inner in body.items() if inner.parent == f"{node.body}:*")
    return msgspec.structs.replace(plan, nodes={**plan.nodes, **body}), roots


def _row(node: Node, depth: int) -> Row:
    return Row(
        stage=node.id,
        depth=depth,
        kind=node.kind.value,
        does=describe_stage(node),
        needs=node.needs,
        when=node.when,
        locks=node.locks,
        writes=node.writes,
        gates=tuple(gate.value for gate in node.gates),
        outputs=tuple(output.file for output in node.outputs.values()),
        limits=_limits(node),
    )


def describe_stage(node: Node) -> str:
    """Describe in a few words what a stage does."""
    match node.kind:
        case Kind.AGENT if node.player is not None:
            mode = f", {node.mode}" if node.mode else ""
            return f"{node.player.role}{mode} ({node.player.prompt})"
        case Kind.RUN:
            return f"$ {node.command.strip().splitlines()[0][:50]}"
        case Kind.LOOP if node.loop is not None:
            return (
                f"until {node.loop.until}, {node.loop.max} rounds at most; then "
                f"{node.loop.on_exhausted}"
            )
        case Kind.FOREACH if node.foreach is not None:
            return f"for each of {node.foreach.over}, {node.foreach.max} at most"
        case Kind.APPROVAL if node.approval is not None:
            return f"asks: {node.approval.ask.strip().splitlines()[0][:50]}"
        case Kind.PARALLEL:
            return "at once"
        case Kind.WORKFLOW:
            return "another workflow"
        case _:
            return "branch, commits, push, pull request"


def _limits(node: Node) -> str:
    if node.kind is Kind.APPROVAL and node.approval is not None:
        return f"{seconds(node.approval.timeout_s)} to answer" if node.approval.timeout_s else ""
    if node.kind not in {Kind.AGENT, Kind.RUN}:
        return ""
    parts = [seconds(node.timeout_s), _count(node.retry.max, "retry", "retries")]
    parts += [f"{node.limits.usd:g} USD" if node.limits.usd is not None else ""]
    parts += [f"{node.limits.tokens} tokens" if node.limits.tokens is not None else ""]
    return ", ".join(part for part in parts if part)


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}" if number else ""


def show_plan(printer: Printer, plan: Plan) -> None:
    """Print a workflow's plan: each stage in order, with all that it may do."""
    view = shown(plan)
    rows = []
    for row in view.stages:
        may = [*(f"lock {lock}" for lock in row.locks), *row.writes]
        rows.append(
            [
                "  " * row.depth + row.stage,
                row.does,
                ", ".join(need.rpartition(":")[2] for need in row.needs),
                ", ".join(may) or ("" if row.kind not in {"agent", "run"} else "nothing"),
                ", ".join(row.gates),
                row.limits,
            ]
        )
    printer.line(f"{plan.workflow}: {limits_line(plan)}")
    printer.table(["stage", "does", "after", "may write", "gates", "limits"], rows)
    for row in view.stages:
        if row.when:
            printer.line(f"{row.stage} only when {row.when}")
    printer.line(
        f"longest possible run {seconds(view.longest_s)}, every retry and round used up: "
        + " > ".join(view.critical_path)
    )


def limits_line(plan: Plan) -> str:
    """Describe the limits of a whole run."""
    parts = [f"{plan.parallel} stages at once"]
    parts += [f"{plan.usd:g} USD" if plan.usd is not None else "no limit in USD"]
    parts += [f"{plan.tokens} tokens"] if plan.tokens is not None else []
    parts += [f"{seconds(plan.wall_s)} of work"] if plan.wall_s is not None else []
    return ", ".join(parts)


def tree(plan: Plan, *, unicode: bool) -> list[str]:
    """Draw a workflow as an indented tree in running order."""
    return [plan.workflow, *_branches(plan, plan.roots[plan.workflow], "", unicode=unicode)]


def _branches(plan: Plan, siblings: Sequence[str], before: str, *, unicode: bool) -> Iterator[str]:
    names = [name for column in graph.generations(plan, siblings) for name in column]
    middle, last, line = ("├─ ", "└─ ", "│  ") if unicode else ("|- ", "`- ", "|  ")
    waits: dict[str, list[str]] = {name: [] for name in names}
    for one, other in graph.edges(plan, siblings):
        waits[other].append(one.rpartition(":")[2])
    for index, name in enumerate(names):
        node, is_last = plan.nodes[name], index == len(names) - 1
        after = f"  after {', '.join(waits[name])}" if waits[name] else ""
        gates = f"  [{', '.join(gate.value for gate in node.gates)}]" if node.gates else ""
        when = f"  when {node.when}" if node.when else ""
        branch, name_here = last if is_last else middle, name.rpartition(":")[2]
        yield f"{before}{branch}{name_here}: {describe_stage(node)}{gates}{when}{after}"
        inside, children = inside_of(plan, node)
        yield from _branches(
            inside, children, before + ("   " if is_last else line), unicode=unicode
        )


def mermaid(plan: Plan) -> list[str]:
    """Write a workflow as a Mermaid flowchart."""
    lines = ["flowchart LR", *_nodes(plan, plan.roots[plan.workflow], "  ")]
    return [*lines, *_arrows(plan, plan.roots[plan.workflow])]


def _nodes(plan: Plan, siblings: Sequence[str], indent: str) -> Iterator[str]:
    for name in siblings:
        inside, children = inside_of(plan, plan.nodes[name])
        label = _label(plan.nodes[name])
        if children:
            yield f'{indent}subgraph {_id(name)}["{label}"]'
            yield from _nodes(inside, children, indent + "  ")
            yield f"{indent}end"
        else:
            yield f'{indent}{_id(name)}["{label}"]'


def _arrows(plan: Plan, siblings: Sequence[str]) -> Iterator[str]:
    for one, other in graph.edges(plan, siblings):
        yield f"  {_id(one)} --> {_id(other)}"
    for name in siblings:
        inside, children = inside_of(plan, plan.nodes[name])
        yield from _arrows(inside, children)


def _label(node: Node) -> str:
    text = f"{node.id.rpartition(':')[2]}: {describe_stage(node)}"
    return (
        text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
    )


def _id(name: str) -> str:
    return "s_" + "".join(char if char.isalnum() else f"_{ord(char):x}_" for char in name)
