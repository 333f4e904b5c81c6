"""The files a person finds in the run folder; all of them can be made again from the journal.

`pipeline.log` has a line for every event; `pipeline_status.json` is the result object and is
written at most four times a second while the run goes on, less often when there is much to write.
"""

import os

import msgspec

from pipeline.core.events import (
    Answered,
    ApprovalAsked,
    ConditionAnswered,
    EffectDone,
    Event,
    ItemsFound,
    LimitsRaised,
    LoopFinished,
    Noted,
    Outcome,
    PersonEdited,
    RoundStarted,
    RunFinished,
    RunOpened,
    RunParked,
    RunStarted,
    StageCancelled,
    StageFinished,
    StageStarted,
    TakenBack,
    Verdict,
    WorkflowStarted,
)
from pipeline.core.state import RunState
from pipeline.engine.result import newest_gate, result
from pipeline.engine.world import World
from pipeline.files import atomic
from pipeline.files.clocks import awake_s
from pipeline.files.rundir import PLANS, RunDir, copy_outputs
from pipeline.language.flow import GateName
from pipeline.language.plan import Node

_STATUS_EVERY_S = 0.25
_STATUS_SHARE = 50
"""Writing the status takes at most one part in so many of the time, however many stages there are."""


class Views:
    """Keeps one run's files for people up to date."""

    def __init__(self, rundir: RunDir, world: World) -> None:
        """Write nothing yet."""
        self.rundir = rundir
        self.world = world
        self._log = -1
        self._next_status_at = 0.0

    def show(self, event: Event, state: RunState) -> None:
        """Take one event into the log, and into the status file if it is time."""
        if line := describe(event):
            if self._log < 0:
                path = self.rundir.folder / "pipeline.log"
                self._log = os.open(
                    path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
                )
            os.write(
                self._log, f"{event.at:%Y-%m-%dT%H:%M:%SZ} {line}\n".encode("utf-8", "replace")
            )
        if awake_s() >= self._next_status_at and state.started is not None:
            began = awake_s()
            self._write_status(state, alive=True)
            took = awake_s() - began
            self._next_status_at = began + max(_STATUS_EVERY_S, _STATUS_SHARE * took)
        if isinstance(event, StageFinished) and event.gates:
            self._write_tests(state)

    def write_all(self, state: RunState) -> None:
        """Write what must be there when the run stops, for whatever reason."""
        self._write_status(state, alive=False)
        self._write_tests(state)

    def accept(self, node: Node, attempt: int) -> None:
        """Keep a stage's outputs.

        For later stages, for people, and plans in the folder of plans.
        """
        source = self.rundir.attempt(node.id, attempt) / "out"
        targets = [self.rundir.accepted(node.id), self.rundir.stage(node.id)]
        if {"plan", "work"} & set(node.outputs):
            targets.append(self.rundir.root / PLANS / self.rundir.run_id)
        copy_outputs(source, *targets)

    def _write_status(self, state: RunState, *, alive: bool) -> None:
        now = self.world.clock()
        data = result(
            state,
            run_dir=self.rundir.folder,
            workspaces=self.rundir.workspaces,
            now=now,
            alive=alive,
        )
        text = msgspec.json.format(msgspec.json.encode(data))
        atomic.write_bytes(self.rundir.folder / "pipeline_status.json", text + b"\n", durable=False)

    def _write_tests(self, state: RunState) -> None:
        green = newest_gate(state, GateName.GREEN)
        folder = self.rundir.folder / "test_results"
        parts = {
            name.value: {
                "passed": gate.passed,
                "tree": gate.tree,
                "detail": gate.detail,
                **gate.evidence,
            }
            for name in (GateName.RED, GateName.GREEN, GateName.PROOF, GateName.UNTAMPERED)
            if (gate := newest_gate(state, name)) is not None
        }
        if not parts:
            return
        data = msgspec.json.format(msgspec.json.encode({"schema_version": 1, **parts}))
        atomic.write_bytes(folder / "summary.json", data + b"\n", durable=False)
        if green is not None and green.passed:
            atomic.write_text(folder / "all_passing", f"{green.tree}\n", durable=False)
        else:
            (folder / "all_passing").unlink(missing_ok=True)


def describe(event: Event) -> str:  # noqa: C901, PLR0911, PLR0912 - one case each
    """Say an event in one line for people; an empty text for those that are of no interest."""
    match event:
        case RunStarted():
            return f"run {event.run_id} of {event.workflow}: {event.feature}, off {event.base_branch} at {event.base[:12]}"
        case StageStarted():
            more = f", round {event.round}" if event.round > 1 else ""
            return f"{event.stage}: started (attempt {event.attempt}{more})"
        case StageFinished():
            return f"{event.stage}: {_outcome(event)}"
        case ConditionAnswered() if event.verdict is not Verdict.GO:
            word = "skipped" if event.verdict is Verdict.SKIP else "failed"
            return f"{event.stage}: {word}, {event.reason}"
        case ItemsFound():
            keys = ", ".join(item.key for item in event.items)
            return f"{event.stage}: {event.problem or f'{len(event.items)} item(s): {keys}'}"
        case ApprovalAsked():
            return f"{event.stage}: asks {event.question.splitlines()[0] if event.question else ''}"
        case Answered():
            return f"{event.stage}: {event.answer.value}" + (
                f", {event.comment}" if event.comment else ""
            )
        case TakenBack():
            return f"to run again, because {event.reason}" if event.stages else event.reason
        case PersonEdited():
            return f"{event.author.rpartition(' <')[0]} edited {', '.join(event.changed[:5])}"
        case StageCancelled():
            return f"{event.stage}: to be cancelled, {event.reason}"
        case LimitsRaised():
            return "other limits: " + ", ".join(_limits(event))
        case RoundStarted():
            return f"{event.loop}: round {event.round}, told {len(event.told)} failure(s)"
        case LoopFinished():
            return f"{event.loop}: {event.reason}"
        case WorkflowStarted():
            return f"{event.workflow}: started, because {event.reason}"
        case EffectDone():
            return f"{event.effect.value} done: {event.detail.get('url') or event.detail.get('branch', '')}"
        case Noted():
            return f"note: {event.text}"
        case RunParked():
            return f"waits: {event.reason}"
        case RunOpened():
            return f"taken up by process {event.pid}"
        case RunFinished():
            return f"run {event.end.value}" + (f": {event.reason}" if event.reason else "")
        case _:
            return ""


def _limits(event: LimitsRaised) -> list[str]:
    parts = {"USD": event.usd, "tokens": event.tokens, "s of work": event.wall_s}
    return [f"{value:g} {unit}" for unit, value in parts.items() if value is not None]


def _outcome(event: StageFinished) -> str:
    gates = ", ".join(
        f"{gate.gate.value} {'ok' if gate.passed else 'NOT ok'}" for gate in event.gates
    )
    if event.outcome is Outcome.DONE:
        text = f"done in {event.duration_s:.1f} s" if event.duration_s else "done"
        return (
            text + (f"; {gates}" if gates else "") + (f"; {event.reason}" if event.reason else "")
        )
    return f"{event.outcome.value}: {event.reason}"
