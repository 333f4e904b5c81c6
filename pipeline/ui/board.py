"""Live progress of a run: a small block on a terminal, plain lines elsewhere.

On a terminal what runs now stands in a block at the bottom, one line a stage, and what is finished
scrolls up as one line each. Elsewhere every event is one line, with the time.
"""

import threading
import time
from typing import Self

from pipeline.core.events import (
    EffectDone,
    Event,
    LoopFinished,
    Noted,
    Outcome,
    RoundStarted,
    RunFinished,
    StageFinished,
    StageStarted,
    WorkflowStarted,
)
from pipeline.core.state import RunState
from pipeline.engine.views import describe
from pipeline.ui.text import Colour, Printer, seconds

_REFRESH_S = 0.2


class Board:
    """Shows events as they come; give `show` to the run as a listener, and use it in a `with` block."""

    def __init__(self, printer: Printer) -> None:
        """Draw on this printer, in place if it is a terminal."""
        self.printer = printer
        self._running: dict[str, tuple[float, str]] = {}
        self._drawn = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._refresh, daemon=True)

    def __enter__(self) -> Self:
        """Start to refresh the block."""
        if self.printer.is_terminal:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the block away."""
        self._over.set()
        with self._lock:
            self._erase()

    def show(self, event: Event, state: RunState) -> None:
        """Take in one event."""
        with self._lock:
            self._erase()
            if line := self._line(event):
                self.printer.line(line)
            match event:
                case StageStarted():
                    self._running[event.stage] = (time.monotonic(), _round(event, state))
                case StageFinished():
                    self._running.pop(event.stage, None)
                case _:
                    pass
            self._draw()

    def _line(self, event: Event) -> str:
        printer = self.printer
        stamp = "" if printer.is_terminal else f"{event.at:%H:%M:%S} "
        match event:
            case StageFinished():
                state = "done" if event.outcome is Outcome.DONE else "failed"
                if event.outcome in {Outcome.PARKED, Outcome.LOST}:
                    state = "waiting"
                text = describe(event).removeprefix(f"{event.stage}: ")
                return f"{stamp}{printer.mark(state)} {event.stage:<22} {text}"
            case StageStarted() if not printer.is_terminal:
                return f"{stamp}{printer.mark('running')} {describe(event)}"
            case RoundStarted():
                text = f"round {event.round} of {event.loop}: {event.told[0] if event.told else ''}"
                return f"{stamp}{printer.paint('↻' if printer.unicode else '>', Colour.YELLOW)} {text[:160]}"
            case WorkflowStarted() | RunFinished() | Noted() | EffectDone() | LoopFinished():
                return f"{stamp}{printer.paint('·' if printer.unicode else '-', Colour.DIM)} {describe(event)}"
            case _:
                return ""

    def _erase(self) -> None:
        if self._drawn:
            self.printer.stream.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0

    def _draw(self) -> None:
        if not self.printer.is_terminal or self._over.is_set():
            return
        now = time.monotonic()
        for stage, (since, more) in self._running.items():
            self.printer.stream.write(f"{self.printer.mark('running')} {stage:<22} {seconds(now - since)}{more}\n")
        self._drawn = len(self._running)
        self.printer.stream.flush()

    def _refresh(self) -> None:
        while not self._over.wait(_REFRESH_S):
            with self._lock:
                self._erase()
                self._draw()


def _round(event: StageStarted, state: RunState) -> str:
    loop = next(state.plan.loops_around(event.stage), None)
    if loop is None or loop.loop is None or event.round == 1:
        return ""
    return f"  round {event.round} of {loop.loop.max}"
