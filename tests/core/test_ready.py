"""The queue of ready stages, against the plain way to say the same; budgets; items."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.budget import Budget
from pipeline.core.events import Item, StageFinished, Usage
from pipeline.core.outcomes import Outcome
from pipeline.core.ready import Ready
from pipeline.core.unfold import items_of, unfolded
from pipeline.language.compiler import compile_plan
from pipeline.language.expressions import Unanswerable
from pipeline.language.flow import Flow, Foreach, Lock, Output, Role, Stage, StageLimits, Workflow
from pipeline.language.plan import Kind, Node
from pipeline.language.words import Count, Expression, Name, Template
from tests.core.test_decide_rules import NOON

LOCKS = ("one", "two", "three")
nodes = st.builds(
    lambda number, locks: Node(
        id=f"s{number}", kind=Kind.RUN, workflow="main", order=(number,), locks=tuple(sorted(locks))
    ),
    st.integers(0, 30),
    st.sets(st.sampled_from(LOCKS), max_size=2),
)


@given(
    st.lists(nodes, max_size=20, unique_by=lambda node: node.id),
    st.sets(st.sampled_from(LOCKS)),
    st.data(),
)
def test_stages_come_in_declared_order_and_never_two_for_one_lock(
    found: list[Node], held: set[str], data
) -> None:
    late = data.draw(st.sets(st.sampled_from([node.id for node in found]))) if found else set()
    due = data.draw(st.sets(st.sampled_from(sorted(late)))) if late else set()
    gone = data.draw(st.sets(st.sampled_from([node.id for node in found]))) if found else set()
    ready = Ready(frozenset(LOCKS), {}, {})
    for node in found:
        ready.add(node, later=node.id in late)
    for node in found:
        if node.id in gone:
            ready.remove(node)
            assert node not in ready
    expected, taken = [], set(held)
    for node in sorted(found, key=lambda node: node.order):
        if (
            node.id in gone
            or (node.id in late and node.id not in due)
            or not taken.isdisjoint(node.locks)
        ):
            continue
        expected.append(node.id)
        taken.update(node.locks)
    by_id, got, growing = {node.id: node for node in found}, [], set(held)
    for stage in ready.in_order(due, growing):
        got.append(stage)
        growing.update(by_id[stage].locks)
    assert got == expected


AGENT = Node(
    id="a",
    kind=Kind.AGENT,
    workflow="main",
    order=(0,),
    limits=StageLimits(usd=2.0, tokens=Count(100)),
)
FREE = Node(id="b", kind=Kind.RUN, workflow="main", order=(1,))


def over(
    stage: str = "a", *, cost: float | None = None, tokens: int | None = None, inherited: str = ""
) -> StageFinished:
    usage = Usage(cost_usd=cost, input_tokens=tokens)
    return StageFinished(
        at=NOON, stage=stage, attempt=1, outcome=Outcome.DONE, usage=usage, inherited=inherited
    )


def test_a_budget_is_reserved_before_and_settled_after() -> None:
    budget = Budget(usd=5.0, reserved={})
    assert budget.refusal(AGENT) == ""
    budget.reserve(AGENT)
    budget.reserved["other"] = StageLimits(usd=2.0)
    assert (
        budget.refusal(AGENT)
        == "the run's limit is 5.00 USD: 0.00 spent, 4.00 reserved by what runs, a reserves 2"
    )
    budget.settle(over(cost=0.5))
    assert budget.refusal(AGENT) == ""
    assert budget.refusal(FREE) == ""


def test_what_an_attempt_does_not_tell_costs_what_was_reserved() -> None:
    budget = Budget(usd=5.0, tokens=150, reserved={})
    budget.reserve(AGENT)
    budget.settle(over())
    assert (budget.spent_usd, budget.spent_tokens) == (2.0, 100)
    assert "100 spent, a reserves 100" in budget.refusal(AGENT)


def test_what_was_never_begun_or_is_inherited_costs_nothing() -> None:
    budget = Budget(usd=5.0, reserved={})
    budget.reserve(AGENT)
    budget.settle(StageFinished(at=NOON, stage="a", attempt=1, outcome=Outcome.PARKED))
    budget.settle(over(cost=4.0, inherited="20260102-030405-0a1b2c3d"))
    assert budget.spent_usd == 0.0


def test_nothing_starts_once_the_limit_is_spent_even_if_it_reserves_nothing() -> None:
    budget = Budget(usd=1.0, reserved={}, spent_usd=1.0)
    plain = Node(id="c", kind=Kind.AGENT, workflow="main", order=(2,))
    assert budget.refusal(plain) == "the run's limit is 1.00 USD: 1.00 spent"


@pytest.mark.parametrize(
    ("rule", "found", "problem"),
    [
        (Foreach(over=Expression("a.b.c"), max=2), [1, 2, 3], "3 items, and at most 2 are allowed"),
        (Foreach(over=Expression("a.b.c")), {"a": 1}, "no list"),
        (
            Foreach(over=Expression("a.b.c"), key="id"),
            [{"id": "x"}, {"id": "X"}],
            "two items have the key 'x'",
        ),
        (
            Foreach(over=Expression("a.b.c"), key="id"),
            [{"name": "x"}],
            "item 1 has no text in 'id'",
        ),
        (Foreach(over=Expression("a.b.c"), key="id"), ["x"], "item 1 has no text in 'id'"),
        (
            Foreach(over=Expression("a.b.c"), key="id"),
            [{"id": "///"}],
            "item 1 has no text in 'id'",
        ),
    ],
)
def test_a_list_that_cannot_be_items_is_refused_never_cut(
    rule: Foreach, found: object, problem: str
) -> None:
    with pytest.raises(Unanswerable) as caught:
        items_of(rule, found)
    assert problem in str(caught.value)


def test_items_have_keys_or_numbers() -> None:
    rule = Foreach(over=Expression("a.b.c"))
    assert [item.key for item in items_of(rule, ["x", "y"])] == ["1", "2"]
    keyed = Foreach(over=Expression("a.b.c"), key="id")
    assert [item.key for item in items_of(keyed, [{"id": "Add Login"}, {"id": 7}])] == [
        "add-login",
        "7",
    ]


def test_the_stages_of_an_item_in_an_item_are_named_by_both_keys() -> None:
    out = {"out": Output(file="o.json", fields={"items": ("list",)})}
    inner = {
        "list": Stage(run="x", outputs=out),
        "each": Stage(
            needs=(Name("list"),),
            foreach=Foreach(over=Expression("list.out.items")),
            stages={
                "do": Stage(run="x", env={"A": Template("{{ list.out.items }}")}),
                "then": Stage(run="x", needs=(Name("do"),)),
            },
        ),
    }
    stages = {
        "first": Stage(run="x", outputs=out),
        "outer": Stage(
            needs=(Name("first"),),
            foreach=Foreach(over=Expression("first.out.items")),
            stages=inner,
        ),
    }
    flow = Flow(
        version=1,
        targets=(),
        workflows={"main": Workflow(stages=stages)},
        locks={"l": Lock()},
        agents={"r": Role(prompt="p")},
    )
    plan = compile_plan(flow, "main")
    made = {node.id: node for node in unfolded(plan, plan.nodes["outer"], (Item(key="k"),))}
    assert made["outer"].children == ("outer:k",)
    assert made["outer:k"].children == ("outer:k:list", "outer:k:each")
    each = made["outer:k:each"]
    assert each.needs == ("outer:k:list",)
    assert each.refs == {"list": "outer:k:list"}
    again = {node.id: node for node in unfolded(plan, each, (Item(key="i"), Item(key="j")))}
    assert again["outer:k:each"].children == ("outer:k:each:i", "outer:k:each:j")
    assert again["outer:k:each:j:then"].needs == ("outer:k:each:j:do",)
    assert again["outer:k:each:j:do"].refs == {"list": "outer:k:list"}
    assert again["outer:k:each:j:do"].item == "outer:k:each:j"
    assert again["outer:k:each:i:do"].order < again["outer:k:each:j:do"].order
