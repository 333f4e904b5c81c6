"""Live progress of a run: a small block on a terminal, plain lines elsewhere.

On a terminal what runs now stands in a block at the bottom, one line a stage, and what is finished
scrolls up as one line each. Elsewhere every event is one line, with the time.
"""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Self

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
    PersonEdited,
    RoundStarted,
    RunFinished,
    RunStarted,
    StageCancelled,
    StageFinished,
    StageStarted,
    TakenBack,
    WorkflowStarted,
)
from pipeline.core.outcomes import Outcome
from pipeline.core.state import RunState
from pipeline.engine.looking.describe import describe, describe_in_parts
from pipeline.files.clocks import awake_s, utc_now
from pipeline.ui.text import Colour, Printer, seconds

_REFRESH_PER_S = 5
_IDEA_CHARACTERS = 100
_STEP_CHARACTERS = 80


class Board:
    """Shows events and steps as they come: a listener of the record, used in a `with` block.

    The only user of rich, which is loaded only for a terminal.
    """

    def __init__(self, printer: Printer) -> None:
        """Draw on this printer, in place if it is a terminal."""
        self.printer = printer
        self._running: dict[str, tuple[float, str]] = {}
        self._step: tuple[float, str] | None = None
        self._detail = ""
        self._lock = threading.Lock()
        self._live: Any = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Begin to show what runs, if this is a terminal."""
        if self.printer.is_terminal:
            from rich.console import Console
            from rich.live import Live

            console = Console(
                file=self.printer.stream,
                highlight=False,
                markup=False,
                no_color=not self.printer.colour,
            )
            live = Live(
                get_renderable=self._block,
                console=console,
                refresh_per_second=_REFRESH_PER_S,
                transient=True,
            )
            self._live = self._stack.enter_context(live)
        return self

    def __exit__(self, *_: object) -> None:
        """Take the block away."""
        self._stack.close()
        self._live = None

    def hear(self, event: Event, state: RunState) -> None:
        """Take in one event."""
        with self._lock:
            match event:
                case StageStarted():
                    self._running[event.stage] = (awake_s(), _round(event, state))
                case StageFinished():
                    self._running.pop(event.stage, None)
                case _:
                    pass
        if line := self._line(event):
            self.print(line)

    def show_again(self, events: Sequence[Event], state: RunState) -> None:
        """Change nothing: a terminal keeps what it has shown."""

    def close(self, state: RunState) -> None:
        """Stop showing what ran: this process lets the run go."""
        with self._lock:
            for stage in state.nodes:
                self._running.pop(stage, None)

    def step(self, text: str) -> None:
        """Show which step has begun: as a line, or in the block of a terminal."""
        with self._lock:
            self._step, self._detail = (awake_s(), text) if text else None, ""
        if self._live is not None:
            self._live.refresh()
        elif text:
            self.printer.line(f"{utc_now():%H:%M:%S} {self._dot()} {text}")

    def detail(self, text: str) -> None:
        """Show in the block of a terminal what the step is at."""
        with self._lock:
            self._detail = text

    def print(self, line: str) -> None:
        """Print a line above the block."""
        if self._live is None:
            self.printer.line(line)
            return
        from rich.text import Text

        # Soft wrap: a path or a command that is copied from here has no line break of ours in it.
        self._live.console.print(Text.from_ansi(self.printer.clean(line)), soft_wrap=True)

    def _block(self) -> Any:
        """Draw what runs now, one line a stage."""
        from rich.text import Text

        now_s = awake_s()
        with self._lock:
            running, step, detail = dict(self._running), self._step, self._detail
        lines = [
            f"{self.printer.mark('running')} {stage:<22} {seconds(now_s - since_s)}{more}"
            for stage, (since_s, more) in running.items()
        ]
        if step is not None:
            since_s, text = step
            more = f"  {detail}" if detail else ""
            lines.append(f"  {text[:_STEP_CHARACTERS]}  {seconds(now_s - since_s)}{more}")
        return Text.from_ansi(self.printer.clean("\n".join(lines)))

    def _dot(self) -> str:
        return self.printer.paint("·" if self.printer.unicode else "-", Colour.DIM)

    def _line(self, event: Event) -> str:
        printer = self.printer
        stamp = "" if printer.is_terminal else f"{event.at:%H:%M:%S} "
        match event:
            case StageFinished():
                state = "done" if event.outcome is Outcome.DONE else "failed"
                if event.outcome in {Outcome.PARKED, Outcome.LOST}:
                    state = "waiting"
                _, text = describe_in_parts(event)
                return f"{stamp}{printer.mark(state)} {event.stage:<22} {text}"
            case StageStarted() if not printer.is_terminal:
                return f"{stamp}{printer.mark('running')} {describe(event)}"
            case RunStarted():
                first = event.idea.splitlines()[0][:_IDEA_CHARACTERS] if event.idea else ""
                return f"run {event.run_id}: {first or event.workflow}"
            case RoundStarted():
                why = event.feedback[0].partition("\n")[0] if event.feedback else ""
                text = f"round {event.round} of {event.loop}: {why}"
                return (
                    f"{stamp}{printer.paint('↻' if printer.unicode else '>', Colour.YELLOW)} "
                    f"{text[:160]}"
                )
            case ConditionAnswered() | ApprovalAsked():
                _, text = describe_in_parts(event)
                mark = printer.mark("waiting" if isinstance(event, ApprovalAsked) else "skipped")
                return f"{stamp}{mark} {event.stage:<22} {text}" if text else ""
            case (
                WorkflowStarted() | RunFinished() | Noted() | EffectDone()
                | LoopFinished() | ItemsFound() | Answered()
                | PersonEdited() | TakenBack() | StageCancelled() | LimitsRaised()
            ):  # fmt: skip
                return f"{stamp}{self._dot()} {describe(event)}"
            case _:
                return ""


def _round(event: StageStarted, state: RunState) -> str:
    loop = next(state.plan.loops_around(event.stage), None)
    if loop is None or loop.loop is None or event.round == 1:
        return ""
    return f"  round {event.round} of {loop.loop.max}"
