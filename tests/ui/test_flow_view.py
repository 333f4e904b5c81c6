"""The plan, the tree and the pictures of a flow: everything is in them, nothing lies on something
else, nothing escapes.
"""

import io
import itertools
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pipeline.language import graph
from pipeline.language.compiler import compile_plan
from pipeline.language.flow import (
    Approval,
    Flow,
    Foreach,
    GateName,
    Loop,
    Output,
    Retry,
    Stage,
    Workflow,
)
from pipeline.language.flow_check import check
from pipeline.language.flow_file import parse
from pipeline.language.flow_order import StageOrder
from pipeline.language.plan import Plan
from pipeline.language.words import Duration, Expression, Name, Template
from pipeline.ui import flow_svg, flow_view
from pipeline.ui.text import Printer

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = 'echo "<script>alert(1)</script>" & done'
PARTS = {"parts": Output(file="parts.json", fields={"items": ("list",)})}


def names(*words: str) -> tuple[Name, ...]:
    return tuple(map(Name, words))


def flow_of(stages: dict[str, Stage]) -> Flow:
    workflows = {
        "main": Workflow(stages=stages),
        "other": Workflow(stages={"inner": Stage(run="make", timeout_s=Duration(1.0))}),
    }
    return Flow(version=1, targets=(), workflows=workflows)


STAGES = {
    "plan": Stage(run=HOSTILE, outputs=PARTS, retry=Retry(max=0), timeout_s=Duration(60.0)),
    "ask": Stage(approval=Approval(ask=Template("Go <on>?")), needs=names("plan")),
    "each": Stage(
        needs=names("ask"),
        foreach=Foreach(over=Expression("plan.parts.items"), max=4),
        stages={"make": Stage(run="make", timeout_s=Duration(10.0), retry=Retry(max=1))},
    ),
    "deliver": Stage(
        needs=names("each"),
        when=Expression("plan.done"),
        loop=Loop(until="look.passed", max=3),
        stages={
            "do": Stage(run="make", timeout_s=Duration(5.0), retry=Retry(max=0)),
            "look": Stage(
                run="make",
                needs=names("do"),
                gates=(GateName.GREEN,),
                timeout_s=Duration(5.0),
                retry=Retry(max=0),
            ),
        },
    ),
    "call": Stage(workflow=Name("other"), needs=names("plan")),
    "last": Stage(
        run="make",
        needs=names("deliver", "call", "plan"),
        timeout_s=Duration(1.0),
        retry=Retry(max=0),
    ),
}


@pytest.fixture
def plan() -> Plan:
    return compile_plan(flow_of(STAGES), "main")


def test_the_longest_way_counts_every_retry_round_and_item(plan: Plan) -> None:
    longest = graph.critical_path(plan, "main")
    assert longest.stages == ("plan", "ask", "each:*:make", "do", "look", "last")
    assert longest.duration_s == 60 + 4 * 2 * 10 + 3 * (5 + 5) + 1


def test_arrows_that_follow_from_others_are_left_out(plan: Plan) -> None:
    arrows = graph.edges(plan, plan.roots["main"])
    assert ("plan", "last") not in arrows
    assert {("plan", "ask"), ("plan", "call"), ("deliver", "last"), ("call", "last")} <= set(arrows)


def test_the_tree_shows_groups_gates_conditions_and_order(plan: Plan) -> None:
    lines = flow_view.tree(plan, unicode=False)
    assert lines[0] == "main"
    assert "   |- do: $ make" in lines[-4:] or any("do: $ make" in line for line in lines)
    assert any("look: $ make  [green]  after do" in line for line in lines)
    assert any("when plan.done" in line for line in lines)
    assert any("make: $ make" in line and line.startswith("|  ") for line in lines)


def test_mermaid_has_every_stage_once_and_no_bare_brackets(plan: Plan) -> None:
    text = "\n".join(flow_view.mermaid(plan))
    assert "<script>" not in text
    for word in (
        "s_plan[",
        "s_ask[",
        "subgraph s_each[",
        "subgraph s_deliver[",
        "s_do --> s_look",
        "s_call",
    ):
        assert word in text
    assert text.count("subgraph") == text.count("\n  end") + text.count("\n    end")


def boxes(
    element: ET.Element, x: float = 0.0, y: float = 0.0
) -> list[tuple[float, float, float, float]]:
    """The boxes directly inside an element, with their places."""
    found = []
    for child in element.findall(f"{SVG}g"):
        dx, dy = map(float, child.get("transform", "translate(0 0)")[10:-1].split())
        rect = child.find(f"{SVG}rect")
        if rect is not None:
            found.append(
                (x + dx, y + dy, float(rect.get("width", 0)), float(rect.get("height", 0)))
            )
    return found


def test_the_picture_is_xml_in_which_no_box_lies_on_another(plan: Plan) -> None:
    root = ET.fromstring(flow_svg.svg(plan))
    words = {text.text for text in root.iter(f"{SVG}text")}
    assert {
        "plan",
        "ask",
        "each",
        "make",
        "deliver",
        "do",
        "look",
        "call",
        "inner",
        "last",
    } <= words
    assert root.findall(f".//{SVG}script") == []
    for group in (element for element in root.iter(f"{SVG}g") if len(boxes(element)) > 1):
        for (ax, ay, aw, ah), (bx, by, bw, bh) in itertools.combinations(boxes(group), 2):
            assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay


def test_the_plan_is_printed_in_running_order_with_what_each_may_do(plan: Plan) -> None:
    stream = io.StringIO()
    flow_view.show_plan(Printer(stream, {}), plan)
    text = stream.getvalue()
    assert (
        text.index("plan ")
        < text.index("ask ")
        < text.index("each ")
        < text.index("deliver ")
        < text.index("last ")
    )
    assert "deliver only when plan.done" in text
    assert "longest possible run" in text


def test_why_two_stages_may_or_may_not_run_at_once() -> None:
    order = StageOrder(flow_of(STAGES), "main")
    assert graph.why_parallel(order, "call", "ask")[0]
    may, reasons = graph.why_parallel(order, "last", "plan")
    assert not may
    assert reasons == ["last waits for plan: plan -> last"]
    assert not graph.why_parallel(order, "plan", "look")[0]
    locked = {name: Stage(run="x", lock=names("one")) for name in ("a", "b")}
    assert graph.why_parallel(StageOrder(flow_of(locked), "main"), "a", "b") == (
        False,
        ["both hold the lock one"],
    )


def test_the_shipped_flow_can_be_drawn() -> None:
    flow, source = parse(Path("agents/flow.yaml").read_text(), "agents/flow.yaml", {})
    check(
        flow, source, prompts=[role.prompt for role in flow.agents.values()], backends=["command"]
    )
    for workflow in flow.workflows:
        found = compile_plan(flow, workflow)
        ET.fromstring(flow_svg.svg(found))
        assert flow_view.tree(found, unicode=True)
