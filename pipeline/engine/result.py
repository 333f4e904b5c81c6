"""The result of a run as one object: what `--json` prints, and `pipeline_status.json` holds."""

from datetime import datetime
from pathlib import Path

import msgspec

from pipeline.core.events import Effect, GateResult, RunEnd
from pipeline.core.memory import Status
from pipeline.core.state import RunState
from pipeline.language.flow import GateName
from pipeline.language.plan import Node
from pipeline.repo import pool

SCHEMA_VERSION = 1
FIRST_SLOT = "0"


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One commit of the run's branch."""

    sha: str
    subject: str
    stage: str


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    """The run's pull request."""

    url: str
    number: int
    state: str
    draft: bool


class StageView(msgspec.Struct, frozen=True, kw_only=True):
    """One stage as a reader sees it."""

    state: str
    reason: str
    attempts: int
    rounds: int
    agent: str
    duration_s: float
    usage: dict[str, int | None]
    cost_usd: float | None


class GateView(msgspec.Struct, frozen=True, kw_only=True):
    """One gate's newest result."""

    stage: str
    gate: str
    passed: bool
    tree: str
    detail: str


class Tests(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the tests: each part is a gate's evidence, or null."""

    red: dict[str, object] | None = None
    green: dict[str, object] | None = None
    proof: dict[str, object] | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a program wants to know of a run."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    workflow: str
    feature: str
    state: str
    reason: str
    failed_stage: str
    exit_code: int
    base: str
    branch: str
    head: str
    commits: tuple[Commit, ...]
    pr: Pull | None
    run_dir: str
    workspace: str
    disk_bytes: int
    sandbox: str
    stages: dict[str, StageView]
    gates: tuple[GateView, ...]
    tests: Tests
    notes: tuple[str, ...]
    questions: dict[str, str]
    cost_usd: float | None
    duration_s: float


def result(
    state: RunState, *, run_dir: Path, workspaces: Path, now: datetime, alive: bool
) -> Result:
    """Make the object from a run's state; `workspaces` is the repository's pool.

    `alive` tells whether a process is working on it.
    """
    started = state.started
    if started is None:
        raise ValueError("a run without its first event has no result")
    commits, held = _commits(state), pool.of_run(workspaces, started.run_id)
    costs = [
        view.cost_usd
        for node in state.plan.leaves()
        if (view := _stage(state, node)).cost_usd is not None
    ]
    ordered = sorted(state.plan.nodes.values(), key=lambda node: node.order)
    leaves = [node for node in ordered if node.is_leaf or node.gates or _failed_itself(state, node)]
    workflows = {state.plan.workflow, state.active}
    shown = [
        node for node in leaves if node.workflow in workflows and not _is_old_item(state, node)
    ]
    return Result(
        run_id=started.run_id,
        workflow=started.workflow,
        feature=started.feature,
        state=run_state(state, alive=alive),
        reason=state.reason
        or state.doomed
        or (state.parked.reason if state.parked is not None else ""),
        failed_stage=state.doomed_by,
        exit_code=exit_code(state),
        base=started.base,
        branch=state.effects.get(Effect.BRANCH, {}).get("branch", ""),
        head=commits[-1].sha if commits else "",
        commits=commits,
        pr=_pull(state),
        run_dir=str(run_dir),
        workspace=str(held[FIRST_SLOT][0]) if FIRST_SLOT in held else "",
        disk_bytes=sum(owner.size_bytes for _, owner in held.values()),
        sandbox="none",
        stages={node.id: _stage(state, node) for node in shown},
        gates=tuple(
            GateView(stage=s, gate=g.gate.value, passed=g.passed, tree=g.tree, detail=g.detail)
            for s, g in gate_results(state)
        ),
        tests=Tests(
            **{
                name.value: _evidence(state, name)
                for name in (GateName.RED, GateName.GREEN, GateName.PROOF)
            }
        ),
        notes=tuple(state.notes),
        questions={stage: asked.question for stage, asked in state.asked.items()},
        cost_usd=sum(costs) if costs else None,
        duration_s=round(((state.finished_at or now) - started.at).total_seconds(), 3),
    )


def run_state(state: RunState, *, alive: bool) -> str:
    """Say where a run stands.

    One that nobody works on is `waiting` for an answer, or `interrupted`.
    """
    if state.end is not None:
        return state.end.value
    if alive:
        return "running"
    return "waiting" if _waits_for_person(state) else "interrupted"


def exit_code(state: RunState) -> int:
    """Return the exit status that a run's end stands for.

    3 while it waits for an answer, 75 while it is not over.
    """
    match state.end:
        case RunEnd.DONE:
            return 0
        case RunEnd.FAILED:
            return 1
        case RunEnd.CANCELLED:
            return 130
        case RunEnd.NEEDLESS:
            return 5
        case None:
            return 3 if _waits_for_person(state) else 75


def _waits_for_person(state: RunState) -> bool:
    return bool(state.asked) or (state.parked is not None and state.parked.person)


def gate_results(state: RunState) -> list[tuple[str, GateResult]]:
    """List the newest result of every gate, in the order of the flow."""
    return [
        (node.id, gate)
        for node in state.plan.nodes.values()
        if (last := state.nodes[node.id].last) is not None
        for gate in last.gates
    ]


def newest_gate(
    state: RunState, name: GateName, *, passed: bool | None = None
) -> GateResult | None:
    """Return the newest result of one gate; only a passed (or failed) one if asked."""
    found = [
        gate
        for _, gate in gate_results(state)
        if gate.gate is name and passed in {None, gate.passed}
    ]
    return found[-1] if found else None


def stage_word(state: RunState, node: Node) -> str:
    """Say a node's state in one word; `ready` is derived, not stored."""
    memory = state.nodes[node.id]
    if (
        memory.status in {Status.PENDING, Status.WAITING}
        and memory.not_before is None
        and not memory.parked
    ):
        return "ready" if node in state.ready else memory.status.value
    return memory.status.value


def _failed_itself(state: RunState, node: Node) -> bool:
    """Tell whether a group failed, and not by a stage inside it.

    Its condition, or its list of items.
    """
    inside = (state.nodes[inner.id].status for inner in state.plan.below(node.id))
    return state.nodes[node.id].status is Status.FAILED and Status.FAILED not in inside


def _is_old_item(state: RunState, node: Node) -> bool:
    """Tell whether a stage belongs to an item of an earlier round, which is no item any more."""
    parent = state.plan.nodes[node.item].parent if node.item else None
    return parent is not None and node.item not in state.plan.nodes[parent].children


def _stage(state: RunState, node: Node) -> StageView:
    memory = state.nodes[node.id]
    last = memory.last
    loop = next(state.plan.loops_around(node.id), None)
    return StageView(
        state=stage_word(state, node),
        reason=memory.reason,
        attempts=memory.attempts,
        rounds=state.nodes[loop.id].round if loop is not None else 1,
        agent=last.agent if last is not None else "",
        duration_s=last.duration_s if last is not None else 0.0,
        usage={
            "input_tokens": last.usage.input_tokens if last is not None else None,
            "output_tokens": last.usage.output_tokens if last is not None else None,
        },
        cost_usd=last.usage.cost_usd if last is not None and not last.inherited else None,
    )


def _evidence(state: RunState, name: GateName) -> dict[str, object] | None:
    gate = newest_gate(state, name)
    return (
        {"passed": gate.passed, "detail": gate.detail, **gate.evidence}
        if gate is not None
        else None
    )


def _commits(state: RunState) -> tuple[Commit, ...]:
    data = state.effects.get(Effect.BRANCH, {}).get("commits", "[]")
    return msgspec.json.decode(data, type=tuple[Commit, ...])


def _pull(state: RunState) -> Pull | None:
    detail = state.effects.get(Effect.PULL_REQUEST)
    if not detail:
        return None
    return Pull(
        url=detail["url"],
        number=int(detail["number"]),
        state=detail.get("state", "open"),
        draft=detail.get("draft") == "true",
    )
