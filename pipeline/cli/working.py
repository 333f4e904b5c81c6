"""Working on a run from a terminal: signals, live board, last lines, exit code."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.core.events import Event, Invoked
from pipeline.core.memory import Status
from pipeline.core.outcomes import RunEnd
from pipeline.core.state import RunState
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
    from pipeline.engine.looking.result import load_result
    from pipeline.engine.running.loop import Stop
    from pipeline.engine.starting.work import work
    from pipeline.ui import explaining, report, text
    from pipeline.ui.board import Board

    printer = text.err(wiring.environ())
    stop = Stop()
    invoked = next((event for event in first if isinstance(event, Invoked)), None)
    with _signals(stop, name, printer), Board(printer) as board:
        world = wiring.world(start, lambda _: board, extra=extra, doing=board)
        state = work(world, name, stop, first, reload=reload)
    result = load_result(world, name)
    if as_json:
        print_json(result)
    else:
        printed, store = text.out(wiring.environ()), world.store()
        if shown and invoked is None:
            with_hints = hints and not state.agenda.asked
            report.show_outcome(printed, result, state, store, hints=with_hints)
        explaining.show_questions(printed, state, store, world.rundir(name))
    if state.end is None and state.parked is None and invoked is not None:
        return 0 if state.nodes[invoked.stage].status is Status.DONE else 1
    if state.end is not None:
        if state.end is RunEnd.FAILED and (hint := _failure_hint(state)):
            printer.line(hint)
        return state.exit_code
    raise _unfinished(state)


@contextmanager
def _signals(stop: Any, name: str, printer: Any) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM ask for a stop: politely at first, at once the second time."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.ask()
        if not stop.now.is_set():
            printer.line(
                "\nstopping after what runs now; once more ends it at once. Go on later: "
                f"pipeline resume {name}"
            )

    previous = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _failure_hint(state: RunState) -> str:
    """Return what a person can type about the stage that failed the run."""
    failure = state.course.failure
    return state.nodes[failure.node].hint if failure is not None else ""


_UNFINISHED = {kind.exit_code: kind for kind in (UsageProblem, NeedsPerson, Busy, Interrupted)}


def _unfinished(state: RunState) -> Problem:
    """Return the problem to end with: what the run waits for; its exit status is the stored one."""
    name, parked = state.started.run_id, state.parked
    kind, resume = _UNFINISHED[state.exit_code], f"Go on: pipeline resume {name}"
    if kind is Interrupted:
        return Interrupted(f"run {name} is stopped; everything done is kept", resume)
    if parked is None:
        return kind(f"run {name} is not over", resume)
    what = f"run {name} waits: {parked.reason}"
    if kind is NeedsPerson:
        return NeedsPerson(what, parked.hint)
    return kind(what, f"{parked.hint}\n{resume}" if parked.hint else resume)


def print_json(value: object) -> None:
    """Print a value as JSON, indented, on stdout."""
    import msgspec

    from pipeline import wiring
    from pipeline.ui import text

    text.out(wiring.environ()).data(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")
