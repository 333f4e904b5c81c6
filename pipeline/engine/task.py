"""What one attempt of a stage starts from, fixed before it starts, and what it came to."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from pipeline.core import values
from pipeline.core.events import (
    Basis,
    GateResult,
    Outcome,
    PersonEdited,
    RunStarted,
    StageStarted,
    Usage,
)
from pipeline.core.state import RunState
from pipeline.engine.result import newest_gate
from pipeline.files.rundir import RunDir
from pipeline.ids import stage_folder
from pipeline.language.expressions import Unanswerable
from pipeline.language.flow import FailureKind, GateName, Schema
from pipeline.language.plan import Kind, Node
from pipeline.prompts.brief import describe

GIVEN = "given"
"""Folder of inputs that a person handed to `invoke_agent`."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt.

    `inputs` are the stages whose outputs it is given, `brief` what its prompt can name, `findings`
    the stages with the files that its gate of that name asks. `edits` is what persons changed since
    tests were delivered. With a `problem` it cannot even start.
    """

    node: Node
    attempt: int
    call: int
    slot: int
    commit: str
    start_tree: str
    tree: str
    round: int
    last_round: bool
    red: GateResult | None
    inputs: tuple[str, ...] = ()
    brief: dict[str, object] = {}
    findings: tuple[tuple[str, str], ...] = ()
    env: dict[str, str] = {}
    problem: str = ""
    edits: tuple[PersonEdited, ...] = ()
    resumed: bool = False


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt came to. `tree` is the workspace's tree, also when it is not accepted."""

    outcome: Outcome
    reason: str = ""
    kind: FailureKind | None = None
    tree: str = ""
    changed: tuple[str, ...] = ()
    formatted: tuple[str, ...] = ()
    gates: tuple[GateResult, ...] = ()
    outputs: dict[str, str] = {}
    values: dict[str, Any] = {}
    usage: Usage = Usage()
    agent: str = ""
    duration_s: float = 0.0
    retry_after: datetime | None = None
    basis: Basis = Basis()
    mend: str = ""


def task_of(
    state: RunState,
    rundir: RunDir,
    node: Node,
    event: StageStarted,
    *,
    base: str,
    call: int,
    resumed: bool,
) -> Task:
    """Fix what an attempt starts from.

    `base` is the run's base commit, `call` counts the stage's calls.
    """
    memory = state.nodes[node.id]
    loops = list(state.plan.loops_around(node.id))
    decided = state.plan.decides_loop(node.id)
    last_round = False
    if decided is not None and decided.loop is not None:
        last_round = state.nodes[decided.id].round >= decided.loop.max
    told = [line for loop in loops for line in state.nodes[loop.id].told]
    env, problem = _env(state, node)
    brief: dict[str, object] = {}
    if node.player is not None:
        brief = {**describe(state.plan, node), **_given(state, node)}
        said = list(dict.fromkeys([*memory.told, *told]))
        brief |= {
            "round": event.round,
            "attempt": event.attempt,
            "told": said,
            "replies": list(memory.replies),
        }
    return Task(
        node=node,
        attempt=event.attempt,
        call=call,
        slot=event.slot,
        commit=state.commit or base,
        start_tree=event.start_tree or event.tree,
        tree=event.tree,
        round=event.round,
        last_round=last_round,
        red=newest_gate(state, GateName.RED, passed=True) if node.gates else None,
        inputs=tuple(_visible(state, rundir, node)),
        brief=brief,
        findings=tuple(_findings(state, node)),
        env=env,
        problem=problem,
        edits=state.edits_since_red,
        resumed=resumed,
    )


def _findings(state: RunState, node: Node) -> Iterator[tuple[str, str]]:
    """Go through the findings that a stage delivers, or those inside a group."""
    for one in (node, *state.plan.below(node.id)):
        for output in one.outputs.values():
            if output.schema is Schema.FINDINGS:
                yield one.id, output.file


def facts_of(started: RunStarted) -> dict[str, object]:
    """Name the run's facts, for prompts."""
    return {name: getattr(started, name) for name in ("idea", "feature", "run_id", "base_branch")}


def _env(state: RunState, node: Node) -> tuple[dict[str, str], str]:
    """Fill in the stage's variables; or none, and the problem."""
    try:
        return {name: values.fill(state, node, text) for name, text in node.env.items()}, ""
    except Unanswerable as exc:
        return {}, f"its env cannot be filled in: {exc}"


def _given(state: RunState, node: Node) -> dict[str, object]:
    """Name the inputs of the workflow and the item of the foreach, for the prompt."""
    item = state.nodes[node.item].value if node.item else None
    text = msgspec.json.format(msgspec.json.encode(item)).decode() if node.item else ""
    return {"given": values.inputs_of(state, node), "item": item, "item_text": text}


def _visible(state: RunState, rundir: RunDir, node: Node) -> Iterator[str]:
    """Go through the stages whose outputs this one is given.

    Those of other items are not for it.
    """
    there = rundir.accepted_stages()
    if not there:
        return
    around = {group.id for group in state.plan.around(node.id) if group.kind is Kind.ITEM}
    for leaf in state.plan.leaves():
        if stage_folder(leaf.id).partition("/")[0] in there and (
            not leaf.item or leaf.item in around
        ):
            yield leaf.id
    if GIVEN in there:
        yield GIVEN
