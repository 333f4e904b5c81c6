"""Working on a run from a terminal: signals, live board, last lines, exit code."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.core.events import Event, Invoked
from pipeline.errors import Busy, Interrupted, NeedsPerson, Problem, UsageProblem


def work_on(
    start: Path,
    name: str,
    *,
    as_json: bool,
    shown: bool = True,
    hints: bool = True,
    extra: Mapping[str, str] | None = None,
    first: Sequence[Event] = (),
    reload: bool = False,
) -> int:
    """Work on a run and show it; return the exit status. Ctrl-C once stops politely, twice now."""
    from pipeline import wiring
    from pipeline.engine import look, runs
    from pipeline.engine.run import Stop
    from pipeline.ui import explaining, report, text
    from pipeline.ui.board import Board

    printer = text.err(wiring.environ())
    stop = Stop()
    invoked = next((event for event in first if isinstance(event, Invoked)), None)

    with _signals(stop, name, printer), Board(printer) as board:
        world = wiring.world(start, board.show, extra=extra)
        run = runs.work(world, name, stop, first, reload=reload)
    found = look.load_result(world, name)
    if as_json:
        print_json(found)
    else:
        printed = text.out(wiring.environ())
        if shown and invoked is None:
            report.show_outcome(
                printed, found, run.state, run.store, hints=hints and not run.state.asked
            )
        explaining.show_questions(printed, run.state, run.store, run.rundir)
    if found.exit_code == 1 and run.hint:
        printer.line(run.hint)
    if invoked is not None and not run.parked and not stop.polite.is_set():
        return 0 if run.state.nodes[invoked.stage].status.value == "done" else 1
    if run.state.end is not None:
        return found.exit_code
    raise _unfinished(name, run.parked, run.hint, run.exit_code, interrupted=stop.polite.is_set())


@contextmanager
def _signals(stop: Any, name: str, printer: Any) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM ask for a stop: politely at first, at once the second time."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.ask()
        if not stop.now.is_set():
            printer.line(
                f"\nstopping after what runs now; once more ends it at once. Go on later: pipeline resume {name}"
            )

    previous = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _unfinished(name: str, parked: str, hint: str, exit_code: int, *, interrupted: bool) -> Problem:
    """Say for whom or what a run waits, and what to type."""
    resume = f"Go on: pipeline resume {name}"
    what = f"run {name} waits: {parked}"
    if interrupted:
        return Interrupted(f"run {name} is stopped; everything done is kept", resume)
    if exit_code == NeedsPerson.exit_code:
        return NeedsPerson(what, hint)
    kind = UsageProblem if exit_code == UsageProblem.exit_code else Busy
    return kind(what, f"{hint}\n{resume}" if hint else resume)


def print_json(value: object) -> None:
    """Print a value as JSON, indented, on stdout."""
    import msgspec

    from pipeline import wiring
    from pipeline.ui import text

    text.out(wiring.environ()).stream.write(
        msgspec.json.format(msgspec.json.encode(value)).decode() + "\n"
    )
