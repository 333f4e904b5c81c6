"""The result of a run as one object: what `--json` prints, and `pipeline_status.json` holds."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from pipeline.core import values
from pipeline.core.effects import PublishedCommit, PullRequestEffect
from pipeline.core.evidence import GateResult
from pipeline.core.memory import Spent, Status
from pipeline.core.outcomes import StopReason
from pipeline.core.state import RunState
from pipeline.engine.ground.forge import state_now
from pipeline.engine.ground.lookup import holder, require_run, state_of
from pipeline.engine.ground.world import World
from pipeline.errors import Problem
from pipeline.ids import stage_folder
from pipeline.language.flow import GateName, Schema
from pipeline.language.plan import Node
from pipeline.language.schemas import Diagnosis
from pipeline.repo import pool

SCHEMA_VERSION = 1
FIRST_SLOT = "0"


class PullRequestView(msgspec.Struct, frozen=True, kw_only=True):
    """The run's pull request."""

    url: str
    number: int
    state: str
    draft: bool


class StageView(msgspec.Struct, frozen=True, kw_only=True):
    """One stage as a reader sees it.

    `usage` and `cost_usd` are what all its attempts reported, together; `unreported_attempts`
    counts those that did not say what they cost. `duration_s` is the newest attempt's.
    """

    state: str
    reason: str
    attempts: int
    rounds: int
    agent: str
    duration_s: float
    usage: dict[str, int | None]
    cost_usd: float | None
    unreported_attempts: int


class GateView(msgspec.Struct, frozen=True, kw_only=True):
    """One gate's newest result; `passed` is true for the verdict of that name alone."""

    stage: str
    gate: str
    verdict: str
    passed: bool
    tree: str
    detail: str


class TestsView(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the tests: the newest result of each gate that ran them, or null."""

    red: GateResult | None = None
    green: GateResult | None = None
    proof: GateResult | None = None


class DiagnosisView(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent found to be the cause of the failure; its words, not checked by the engine.

    `folder` has all that it wrote; `remedies` are the commands that fit, as text.
    """

    stage: str
    cause: str
    next_step: str
    folder: str
    remedies: tuple[str, ...]


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a program wants to know of a run.

    `stop` says why nobody works on it any more, null while somebody does; `exit_code` follows from
    it. `decided_by` is the stage that failed the run, or said that there is nothing to do.
    `cost_usd` is the sum over all attempts of those that reported one, null when none did.
    """

    schema_version: int = SCHEMA_VERSION
    run_id: str
    workflow: str
    feature: str
    state: str
    stop: StopReason | None
    reason: str
    decided_by: str
    exit_code: int
    base: str
    branch: str
    head: str
    commits: tuple[PublishedCommit, ...]
    pr: PullRequestView | None
    run_dir: str
    workspace: str
    disk_bytes: int
    sandbox: str
    stages: dict[str, StageView]
    gates: tuple[GateView, ...]
    tests: TestsView
    notes: tuple[str, ...]
    questions: dict[str, str]
    diagnosis: DiagnosisView | None
    cost_usd: float | None
    unreported_attempts: int
    duration_s: float


class UnreadableRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run whose journal or plan cannot be read, and why; its name is all that is known."""

    run_id: str
    reason: str
    hint: str


def load_result(world: World, name: str) -> RunResult:
    """Make the result object of a run as it stands now, its pull request as the forge has it."""
    rundir = require_run(world, name)
    result = result_of(
        state_of(rundir),
        run_dir=rundir.folder,
        workspaces=rundir.workspaces,
        now=world.clock(),
        is_alive=holder(world, name) is not None,
    )
    now = state_now(world, result.pr.number) if result.pr is not None else ""
    if result.pr is None or not now:
        return result
    return replace(
        result, pr=replace(result.pr, state=now, draft=result.pr.draft and now == "open")
    )


def load_results(world: World, names: Iterable[str]) -> tuple[list[RunResult], list[UnreadableRun]]:
    """Make the result objects of several runs, and name those that cannot be read."""
    results: list[RunResult] = []
    unreadable: list[UnreadableRun] = []
    for name in names:
        try:
            results.append(load_result(world, name))
        except Problem as exc:
            unreadable.append(UnreadableRun(run_id=name, reason=exc.what, hint=exc.hint))
    return results, unreadable


def result_of(
    state: RunState, *, run_dir: Path, workspaces: Path, now: datetime, is_alive: bool
) -> RunResult:
    """Make the object from a run's state; `workspaces` is the repository's pool.

    `is_alive` says whether a process works on it.
    """
    started, branch = state.started, state.effects.branch
    held = pool.workspaces_of(workspaces, started.run_id)
    commits = branch.commits if branch is not None else ()
    spent = [node.spent for node in state.nodes.values()]
    return RunResult(
        run_id=started.run_id,
        workflow=started.workflow,
        feature=started.feature,
        state=run_state(state, is_alive=is_alive),
        stop=None if is_alive else state.stop,
        reason=state.reason,
        decided_by=_decided_by(state),
        exit_code=state.exit_code,
        base=started.base,
        branch=branch.branch if branch is not None else "",
        head=commits[-1].sha if commits else "",
        commits=commits,
        pr=_pull_request(state.effects.pull_request),
        run_dir=str(run_dir),
        workspace=str(held[FIRST_SLOT][0]) if FIRST_SLOT in held else "",
        disk_bytes=sum(owner.size_bytes for _, owner in held.values()),
        sandbox="none",
        stages={node.id: _stage(state, node) for node in _shown(state)},
        gates=tuple(_gate(stage, gate) for stage, gate in state.gate_results()),
        tests=TestsView(
            red=state.newest_gate(GateName.RED),
            green=state.newest_gate(GateName.GREEN),
            proof=state.newest_gate(GateName.PROOF),
        ),
        notes=tuple(state.notes),
        diagnosis=diagnosis_of(state, run_dir),
        questions={stage: asked.question for stage, asked in state.agenda.asked.items()},
        cost_usd=state.cost_usd,
        unreported_attempts=sum(one.unreported for one in spent),
        duration_s=round(((state.finished_at or now) - started.at).total_seconds(), 3),
    )


def run_state(state: RunState, *, is_alive: bool) -> str:
    """Return a run's state in one word.

    One that nobody works on is `waiting` for a person's answer or limit, or `interrupted`.
    """
    if state.end is not None:
        return state.end.value
    if is_alive:
        return "running"
    stop = state.stop
    return "waiting" if stop is not None and stop.waits_for_person else "interrupted"


def diagnosis_of(state: RunState, run_dir: Path) -> DiagnosisView | None:
    """Return what a follow-up workflow found; None without one, or if nothing failed."""
    failure, run = state.course.failure, state.started.run_id
    stage, value = next(values.of_schema(state, Schema.DIAGNOSIS), ("", None))
    if failure is None or value is None:
        return None
    found = msgspec.convert(value, Diagnosis)
    inside = (one.id for one in state.plan.below(failure.node) if one.is_leaf)
    first = next(inside, failure.node)
    return DiagnosisView(
        stage=stage,
        cause=found.cause,
        next_step=next(iter(found.next_steps), ""),
        folder=str(run_dir / stage_folder(stage)),
        remedies=(
            f"pipeline open {run}",
            f"pipeline retry {run} {first}",
            f"pipeline fork {run} --from {first}",
        ),
    )


def _decided_by(state: RunState) -> str:
    if state.course.failure is not None:
        return state.course.failure.node
    return state.course.declined.node if state.course.declined is not None else ""


def _shown(state: RunState) -> list[Node]:
    """List the stages that a reader wants to see, in the order of the flow."""
    workflows = {state.plan.workflow, state.course.active}
    return [
        node
        for node in sorted(state.plan.nodes.values(), key=lambda node: node.order)
        if (node.is_leaf or node.gates or _has_failed_itself(state, node))
        and node.workflow in workflows
        and not _is_old_item(state, node)
    ]


def _has_failed_itself(state: RunState, node: Node) -> bool:
    """Return whether a group failed, and not by a stage inside it: its condition, or its items."""
    inside = (state.nodes[inner.id].status for inner in state.plan.below(node.id))
    return state.nodes[node.id].status is Status.FAILED and Status.FAILED not in inside


def _is_old_item(state: RunState, node: Node) -> bool:
    """Return whether a stage belongs to an item of an earlier round, which is no item any more."""
    parent = state.plan.nodes[node.item].parent if node.item else None
    return parent is not None and node.item not in state.plan.nodes[parent].children


def _stage(state: RunState, node: Node) -> StageView:
    memory = state.nodes[node.id]
    last = memory.last
    loop = next(state.plan.loops_around(node.id), None)
    return StageView(
        state=state.stage_word(node),
        reason=memory.reason,
        attempts=memory.attempts,
        rounds=state.nodes[loop.id].round if loop is not None else 1,
        agent=last.agent if last is not None else "",
        duration_s=last.duration_s if last is not None else 0.0,
        usage=_usage(memory.spent),
        cost_usd=memory.spent.cost_usd,
        unreported_attempts=memory.spent.unreported,
    )


def _usage(spent: Spent) -> dict[str, int | None]:
    return {"input_tokens": spent.input_tokens, "output_tokens": spent.output_tokens}


def _gate(stage: str, gate: GateResult) -> GateView:
    return GateView(
        stage=stage,
        gate=gate.gate.value,
        verdict=gate.verdict.value,
        passed=gate.passed,
        tree=gate.tree,
        detail=gate.detail,
    )


def _pull_request(effect: PullRequestEffect | None) -> PullRequestView | None:
    if effect is None:
        return None
    return PullRequestView(
        url=effect.url, number=effect.number, state=effect.state, draft=effect.draft
    )
