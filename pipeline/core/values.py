"""What the names in conditions and placeholders stand for while a run goes on."""

from collections.abc import Callable, Iterable, Iterator

from pipeline.core.events import ConditionResult, Item
from pipeline.core.memory import Status
from pipeline.core.state import RunState
from pipeline.core.unfold import items_of
from pipeline.language import expressions, placeholders
from pipeline.language.compiler import named
from pipeline.language.expressions import DottedName, Unanswerable
from pipeline.language.flow import Schema
from pipeline.language.plan import Node

_ASKED = {
    "done": {Status.DONE},
    "failed": {Status.FAILED, Status.CANCELLED},
    "skipped": {Status.SKIPPED},
}
"""What conditions ask of a stage; one that a person cancelled has failed."""


def value_of(state: RunState, node: Node) -> Callable[[DottedName], object]:
    """Return what gives the value of a name as this stage sees it; that raises `Unanswerable`."""

    def find(name: DottedName) -> object:
        match name[0]:
            case "inputs":
                return expressions.field_of(inputs_of(state, node), name[1:])
            case "run":
                return expressions.field_of(_run(state), name[1:])
            case "loop":
                return next(state.nodes[loop.id].round for loop in state.plan.loops_around(node.id))
            case "item":
                return expressions.field_of(state.nodes[node.item].value, name[1:])
            case _:
                return _of_stage(state, node, name)

    return find


def _run(state: RunState) -> dict[str, object]:
    return {"id": state.started.run_id, "feature": state.started.feature}


def inputs_of(state: RunState, node: Node) -> dict[str, object]:
    """Give the inputs of the workflow that a stage belongs to.

    What it was called with, else the run's.
    """
    started = state.started
    declared = state.plan.inputs.get(node.workflow, {})
    given: dict[str, object] = {name: one.default for name, one in declared.items()}
    given |= {
        "idea": started.idea,
        "feature": started.feature,
        "base_branch": started.base_branch,
        **started.inputs,
    }
    if not node.call:
        return given
    call = state.plan.nodes[node.call]
    usual = {name: given[name] for name in ("idea", "feature", "base_branch")}
    return usual | {name: fill(state, call, text) for name, text in call.inputs.items()}


def _of_stage(state: RunState, node: Node, name: DottedName) -> object:
    target = node.refs.get(name[0], "")
    if target not in state.nodes or len(name) < 2:
        raise Unanswerable(f"there is no stage {name[0]!r}")
    status = state.nodes[target].status
    if len(name) == 2 and name[1] in _ASKED:
        return status in _ASKED[name[1]]
    if name[1:] == ("runs",):
        return state.nodes[target].runs
    values = state.product.values.get(target, {}) if status is Status.DONE else {}
    output = named(name[1], values)
    if output is None:
        raise Unanswerable(f"{name[0]} is {status.value} and has put out no {name[1]!r}")
    return expressions.field_of(values[output], name[2:])


def of_schema(state: RunState, schema: Schema) -> Iterator[tuple[str, object]]:
    """Yield each stage that has delivered an output of a shape, with the newest value of it."""
    for node in state.plan.leaves():
        for name, output in node.outputs.items():
            value = state.product.values.get(node.id, {}).get(name)
            if output.schema is schema and value is not None:
                yield node.id, value


def fill(state: RunState, node: Node, text: str) -> str:
    """Fill in the names between double braces. Raises `Unanswerable`."""
    return placeholders.fill(text, value_of(state, node))


def judge(state: RunState, node: Node) -> tuple[ConditionResult, str]:
    """Answer a stage's `when`, with the reason in words."""
    try:
        if expressions.holds(node.when, value_of(state, node)):
            return ConditionResult.GO, f"`{node.when}` holds"
    except Unanswerable as exc:
        return ConditionResult.FAIL, f"`{node.when}` cannot be answered: {exc}"
    return ConditionResult.SKIP, f"`{node.when}` does not hold"


def items(state: RunState, node: Node) -> tuple[tuple[Item, ...], str]:
    """Find a foreach's items; or none, and the problem in words."""
    if node.foreach is None:
        return (), "not a foreach"
    try:
        return items_of(
            node.foreach, expressions.evaluate(node.foreach.over, value_of(state, node))
        ), ""
    except Unanswerable as exc:
        return (), str(exc)


def closure(state: RunState, stages: Iterable[str]) -> list[str]:
    """List what has to run again with these stages.

    What is inside them, what builds on them, the groups around.

    Whoever held one of their locks after them has built on them too.
    """
    whole: set[str] = set()
    around: set[str] = set()
    waiting = [(name, whole) for name in stages]
    while waiting:
        name, kind = waiting.pop()
        if name in kind:
            continue
        kind.add(name)
        node = state.plan.nodes[name]
        waiting += [(dependent, whole) for dependent in state.dependents.get(name, ())]
        waiting += [(child, whole) for child in node.children if kind is whole]
        waiting += [(node.parent, around)] if node.parent else []
        waiting += [(later, whole) for later in _later_holders(state, node)]
    return [name for name in state.plan.nodes if name in whole or name in around]


def blocking_failures(state: RunState, stages: Iterable[str]) -> list[str]:
    """List the failures that would end the run all the same, were these stages taken back."""
    taken = set(stages)
    return [
        node.id
        for node in state.plan.nodes.values()
        if state.nodes[node.id].status in {Status.FAILED, Status.CANCELLED}
        and not state.nodes[node.id].is_over
        and node.id not in state.course.not_started
        and node.workflow == state.plan.workflow
        and node.id not in taken
    ]


def _later_holders(state: RunState, node: Node) -> Iterable[str]:
    own = state.nodes[node.id]
    if not node.locks or own.status is not Status.DONE:
        return []
    return [
        other.id
        for other in state.plan.nodes.values()
        if not set(node.locks).isdisjoint(other.locks)
        and state.nodes[other.id].done_number > own.done_number
    ]
