"""A workflow as an SVG picture: boxes in columns in running order, groups as boxes around them."""

from collections.abc import Iterator, Sequence
from html import escape

import msgspec

from pipeline.language import graph
from pipeline.language.plan import Kind, Node, Plan
from pipeline.ui.flow_view import describe_stage, inside_of

_LETTER, _LINE, _PAD, _GAP, _COLUMN_GAP = 6.6, 17.0, 10.0, 14.0, 44.0
_COLOURS = {
    Kind.AGENT: "#dbeafe", Kind.RUN: "#e5e7eb", Kind.PUBLISH: "#dcfce7",
    Kind.APPROVAL: "#fef3c7", Kind.PARALLEL: "#f8fafc", Kind.LOOP: "#fdf4ff",
    Kind.FOREACH: "#f0fdfa", Kind.WORKFLOW: "#f8fafc",
}  # fmt: skip
_LOOP_BORDER = "6 4"


class _Box(msgspec.Struct, kw_only=True):
    """A stage with its place; what is inside a group is placed relative to it."""

    node: Node
    lines: list[str]
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0
    inside: "list[_Box]" = []
    arrows: list[tuple[str, str]] = []


def svg(plan: Plan) -> str:
    """Draw a workflow."""
    boxes, width, height = _laid_out(plan, plan.roots[plan.workflow])
    arrows = graph.edges(plan, plan.roots[plan.workflow])
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 2 * _PAD:.0f}" '
            f'height="{height + 2 * _PAD:.0f}" '
            'font-family="ui-monospace, monospace" font-size="11" role="img">'
        ),
        f"<title>{escape(plan.workflow)}</title>",
        (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto">'
            '<path d="M0 0 L8 4 L0 8 z" fill="#475569"/></marker></defs>'
        ),
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<g transform="translate({_PAD:g} {_PAD:g})">',
        *_drawn(boxes, arrows),
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


def _laid_out(plan: Plan, siblings: Sequence[str]) -> tuple[list[_Box], float, float]:
    """Place stages in columns; return them with the size of all."""
    boxes: list[_Box] = []
    x = height = 0.0
    for column in graph.generations(plan, siblings):
        placed = [_box(plan, plan.nodes[name]) for name in column]
        y = 0.0
        for box in placed:
            box.x, box.y = x, y
            y += box.height + _GAP
        boxes += placed
        x += max(box.width for box in placed) + _COLUMN_GAP
        height = max(height, y - _GAP)
    return boxes, max(0.0, x - _COLUMN_GAP), height


def _box(plan: Plan, node: Node) -> _Box:
    inside_plan, children = inside_of(plan, node)
    lines = [node.id.rpartition(":")[2], describe_stage(node)[:44]]
    lines += [f"gates: {', '.join(gate.value for gate in node.gates)}"] if node.gates else []
    lines += [f"when {node.when}"[:44]] if node.when else []
    lines += [f"locks: {', '.join(node.locks)}"] if node.locks else []
    width = max(map(len, lines)) * _LETTER + 2 * _PAD
    height = len(lines) * _LINE + _PAD
    box = _Box(node=node, lines=lines, width=width, height=height)
    if children:
        box.inside, inner_width, inner_height = _laid_out(inside_plan, children)
        for inner in box.inside:
            inner.x, inner.y = inner.x + _PAD, inner.y + height + _PAD / 2
        box.width = max(width, inner_width + 2 * _PAD)
        box.height = height + inner_height + 1.5 * _PAD
        box.arrows = graph.edges(inside_plan, children)
    return box


def _drawn(boxes: Sequence[_Box], arrows: Sequence[tuple[str, str]]) -> Iterator[str]:
    places = {box.node.id: box for box in boxes}
    for one, other in arrows:
        start, end = places[one], places[other]
        x1, y1, x2, y2 = start.x + start.width, start.y + _LINE, end.x, end.y + _LINE
        bend = max(_COLUMN_GAP / 2, (x2 - x1) / 2)
        path = (
            f"M{x1:.1f} {y1:.1f} C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} "
            f"{y2:.1f}"
        )
        yield f'<path d="{path}" fill="none" stroke="#475569" marker-end="url(#tip)"/>'
    for box in boxes:
        dashes = (
            f' stroke-dasharray="{_LOOP_BORDER}"'
            if box.node.kind in {Kind.LOOP, Kind.FOREACH}
            else ""
        )
        yield f'<g transform="translate({box.x:.1f} {box.y:.1f})">'
        yield (
            f'<rect width="{box.width:.1f}" height="{box.height:.1f}" rx="5" '
            f'fill="{_COLOURS[box.node.kind]}" stroke="#64748b"{dashes}/>'
        )
        for index, line in enumerate(box.lines):
            weight = ' font-weight="bold"' if index == 0 else ""
            y = (index + 1) * _LINE - 2
            yield f'<text x="{_PAD:g}" y="{y:.1f}"{weight}>{escape(line)}</text>'
        yield from _drawn(box.inside, box.arrows)
        yield "</g>"
