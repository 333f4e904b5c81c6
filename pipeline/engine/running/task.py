"""What one attempt of a stage starts from, fixed before it starts, and what it came to."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from pipeline.core import values
from pipeline.core.events import PersonEdited, StageStarted, Usage
from pipeline.core.evidence import GateResult
from pipeline.core.outcomes import Outcome, StopReason
from pipeline.core.state import RunState
from pipeline.core.violations import Violation
from pipeline.engine.running.inputs import given_stages, input_files, last_rounds, tests_text
from pipeline.files.rundir import RunDir
from pipeline.language.expressions import Unanswerable
from pipeline.language.flow import FailureKind, GateName, Schema
from pipeline.language.plan import Node
from pipeline.prompts.brief import Brief, brief_of


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt.

    It sees `start_tree`, and its change is held against `tree`; `commit` is the run's newest.
    `inputs` are the stages whose outputs it is given, `tests_text` lists the delivered tests,
    `refused` is what its gates refused before, by gate,
    `earlier` is the delivery of tests that it revises, `brief` is what its prompt can name (None:
    no agent plays it), `findings` are the stages with the files that its gate asks. `edits`
    is what persons changed since tests were delivered. With a `problem` it cannot even start.
    """

    node: Node
    attempt: int
    call: int
    slot: int
    commit: str
    start_tree: str
    tree: str
    round: int
    is_last_round: bool
    has_next_round: bool
    red: GateResult | None
    earlier: GateResult | None = None
    refused: dict[GateName, GateResult] = {}
    inputs: tuple[str, ...] = ()
    tests_text: str = ""
    last_rounds: tuple[Path, ...] = ()
    brief: Brief | None = None
    findings: tuple[tuple[str, str], ...] = ()
    env: dict[str, str] = {}
    problem: str = ""
    edits: tuple[PersonEdited, ...] = ()
    is_resumed: bool = False


class AttemptResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt came to.

    `tree` is the lawful part of the workspace's tree, also when it is not accepted. `dropped` are
    new files outside its paths, `ignored` new ones inside that git ignores, with the rule.

    A parked attempt says by `stop` for whom it waits; `hint` is what a person can type.
    """

    outcome: Outcome
    reason: str = ""
    kind: FailureKind | None = None
    stop: StopReason | None = None
    hint: str = ""
    violations: tuple[Violation, ...] = ()
    tree: str = ""
    changed: tuple[str, ...] = ()
    formatted: tuple[str, ...] = ()
    partly_formatted: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    gates: tuple[GateResult, ...] = ()
    outputs: dict[str, str] = {}
    values: dict[str, Any] = {}
    usage: Usage = Usage()
    agent: str = ""
    duration_s: float = 0.0
    retry_after: datetime | None = None


def task_of(
    state: RunState, rundir: RunDir, node: Node, event: StageStarted, *, is_resumed: bool
) -> Task:
    """Fix what an attempt starts from."""
    decided = state.plan.decides_loop(node.id)
    is_last_round = has_next_round = False
    if decided is not None and decided.loop is not None:
        is_last_round = state.nodes[decided.id].round >= decided.loop.max
        has_next_round = not is_last_round
    env, problem = _env(state, node)
    red = state.newest_gate(GateName.RED, passed=True)
    brief = None
    if node.player is not None:
        brief = brief_of(state, node, event, list(input_files(state, rundir, node)))
    return Task(
        node=node,
        attempt=event.attempt,
        call=state.nodes[node.id].calls + 1,
        slot=event.slot,
        commit=state.product.commit or state.started.base,
        start_tree=event.start_tree or event.tree,
        tree=event.tree,
        round=event.round,
        is_last_round=is_last_round,
        has_next_round=has_next_round,
        red=red if node.gates else None,
        refused=state.nodes[node.id].refused,
        earlier=red if _revises(state, node) else None,
        inputs=tuple(given_stages(state, rundir, node)),
        tests_text=tests_text(state),
        last_rounds=tuple(last_rounds(state, rundir, node)),
        brief=brief,
        findings=tuple(_findings(state, node)),
        env=env,
        problem=problem,
        edits=state.product.edits_since_red,
        is_resumed=is_resumed,
    )


def _revises(state: RunState, node: Node) -> bool:
    """Return whether a stage's tests come on top of those that an earlier stage delivered."""
    before = (state.plan.nodes[name] for name in state.reached(node.id))
    return GateName.RED in node.gates and any(GateName.RED in one.gates for one in before)


def _findings(state: RunState, node: Node) -> Iterator[tuple[str, str]]:
    """Yield the findings that a stage delivers, or those inside a group."""
    for one in (node, *state.plan.below(node.id)):
        for output in one.outputs.values():
            if output.schema is Schema.FINDINGS:
                yield one.id, output.file


def _env(state: RunState, node: Node) -> tuple[dict[str, str], str]:
    """Fill in the stage's variables; or none, and the problem."""
    try:
        return {name: values.fill(state, node, text) for name, text in node.env.items()}, ""
    except Unanswerable as exc:
        return {}, f"its env cannot be filled in: {exc}"
