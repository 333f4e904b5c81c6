"""The files a person finds in the run folder; all of them can be made again from the journal.

`pipeline.log` has a line for every event that people care about; `pipeline_status.json` is the
result object and is written at most four times a second while the run goes on, less often when
there is much to write.
"""

import os
from collections.abc import Sequence

import msgspec

from pipeline.core.events import Event, StageFinished
from pipeline.core.evidence import GateResult
from pipeline.core.state import RunState
from pipeline.engine.looking.describe import describe
from pipeline.engine.looking.result import result_of
from pipeline.files import atomic
from pipeline.files.clocks import Clock, WallClock
from pipeline.files.rundir import REQUEST, RunDir, copy_outputs
from pipeline.language.flow import GateName

_STATUS_EVERY_S = 0.25
_LOG = "pipeline.log"
_STATUS_SHARE = 50
"""Writing the status takes at most this fraction (1/n) of the time, however many stages."""


class TestSummary(msgspec.Struct, frozen=True, kw_only=True):
    """`test_results/summary.json`: the newest result of each gate that judges tests."""

    schema_version: int = 1
    red: GateResult | None = None
    green: GateResult | None = None
    proof: GateResult | None = None
    untampered: GateResult | None = None


class Views:
    """Keeps one run's files for people up to date; a listener of its record."""

    def __init__(self, rundir: RunDir, clock: WallClock, awake: Clock) -> None:
        """Write nothing yet."""
        self._rundir = rundir
        self._clock = clock
        self._awake = awake
        self._log = -1
        self._next_status_at_s = 0.0

    def hear(self, event: Event, state: RunState) -> None:
        """Take one event into the log, and into the status file if it is time."""
        self._log_event(event)
        if self._awake() >= self._next_status_at_s:
            began_s = self._awake()
            self._write_status(state, is_alive=True)
            took_s = self._awake() - began_s
            self._next_status_at_s = began_s + max(_STATUS_EVERY_S, _STATUS_SHARE * took_s)
        if isinstance(event, StageFinished) and event.gates:
            self._write_tests(state)

    def show_again(self, events: Sequence[Event], state: RunState) -> None:
        """Write the log, the request and what stages put out once more, into a new run folder."""
        if self._log >= 0:
            os.close(self._log)
            self._log = -1
        (self._rundir.folder / _LOG).unlink(missing_ok=True)
        for event in events:
            self._log_event(event)
        request = self._rundir.folder / REQUEST
        if not request.exists():
            atomic.write_text(request, state.started.request, durable=False)
        for stage in state.nodes:
            if self._rundir.accepted(stage).is_dir():
                copy_outputs(self._rundir.accepted(stage), self._rundir.stage(stage))
        self._write_status(state, is_alive=True)

    def close(self, state: RunState) -> None:
        """Write what must be there when the process lets the run go, for whatever reason."""
        self._write_status(state, is_alive=False)
        self._write_tests(state)
        if self._log >= 0:
            os.close(self._log)
            self._log = -1

    def _log_event(self, event: Event) -> None:
        if line := describe(event):
            self._write_line(f"{event.at:%Y-%m-%dT%H:%M:%SZ} {line}\n")

    def _write_line(self, line: str) -> None:
        if self._log < 0:
            path = self._rundir.folder / _LOG
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._log = os.open(path, flags, 0o644)
        os.write(self._log, line.encode("utf-8", "replace"))

    def _write_status(self, state: RunState, *, is_alive: bool) -> None:
        result = result_of(
            state,
            run_dir=self._rundir.folder,
            workspaces=self._rundir.workspaces,
            now=self._clock(),
            is_alive=is_alive,
        )
        text = msgspec.json.format(msgspec.json.encode(result))
        path = self._rundir.folder / "pipeline_status.json"
        atomic.write_bytes(path, text + b"\n", durable=False)

    def _write_tests(self, state: RunState) -> None:
        green = state.newest_gate(GateName.GREEN)
        summary = TestSummary(
            red=state.newest_gate(GateName.RED),
            green=green,
            proof=state.newest_gate(GateName.PROOF),
            untampered=state.newest_gate(GateName.UNTAMPERED),
        )
        if summary == TestSummary():
            return
        folder = self._rundir.folder / "test_results"
        text = msgspec.json.format(msgspec.json.encode(summary))
        atomic.write_bytes(folder / "summary.json", text + b"\n", durable=False)
        if green is not None and green.passed:
            atomic.write_text(folder / "all_passing", f"{green.tree}\n", durable=False)
        else:
            (folder / "all_passing").unlink(missing_ok=True)
