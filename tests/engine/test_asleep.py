"""A run on a laptop that sleeps: its limit of time counts awake time, what a person has time for
the calendar.
"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from pipeline import wiring
from pipeline.core.events import Event, StageFinished
from pipeline.core.outcomes import RunEnd, StopReason
from pipeline.core.state import RunState
from pipeline.engine.ground import flows
from pipeline.engine.running.loop import Stop
from pipeline.engine.starting import runs
from pipeline.engine.starting.work import work
from tests.helpers.bare import Bare
from tests.helpers.laptop import NIGHT_S, Laptop

FLOW = """
version: 1
targets: [{name: app, source: [src/**], tests: [tests/**], test: python -m pytest -q}]
limits: {wall: 10m}
workflows:
  main:
    stages:
      a: {run: "true"}
      b: {run: "true", needs: [a]}
"""


class Nap:
    """A listener that lets the machine sleep and work after the first stage."""

    def __init__(self, laptop: Laptop, slept_s: float, worked_s: float) -> None:
        self.laptop = laptop
        self.slept_s = slept_s
        self.worked_s = worked_s

    def show_again(self, events: Sequence[Event], state: RunState) -> None:
        pass

    def hear(self, event: Event, _: RunState) -> None:
        if isinstance(event, StageFinished) and event.stage == "a":
            self.laptop.sleep(self.slept_s)
            self.laptop.work(self.worked_s)

    def close(self, _: RunState) -> None:
        pass


def worked_on(
    folder: Path, patch: pytest.MonkeyPatch, *, slept_s: float, worked_s: float
) -> RunState:
    """Work on a run whose machine sleeps and works after its first stage."""
    bare, laptop = Bare(folder, FLOW), Laptop()
    for name, value in bare.env.items():
        patch.setenv(name, value)
    world = msgspec.structs.replace(
        wiring.world(bare.root, lambda _: Nap(laptop, slept_s, worked_s)),
        clock=laptop.now,
        awake=laptop.awake_s,
    )
    order = runs.RunOrder(workflow="main", idea="an idea")
    return work(world, runs.start(world, flows.read(world), order), Stop())


def test_a_night_does_not_use_up_the_time_for_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = worked_on(tmp_path, monkeypatch, slept_s=NIGHT_S, worked_s=1.0)
    assert (state.end, state.time.total_s) == (RunEnd.DONE, 1.0)
    assert state.finished_at is not None
    assert state.finished_at - state.started.at == timedelta(seconds=NIGHT_S + 1.0)


def test_a_long_day_uses_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = worked_on(tmp_path, monkeypatch, slept_s=0.0, worked_s=600.0)
    assert (state.end, state.stop) == (None, StopReason.LIMIT_REACHED)
    assert "(wall)" in state.reason
