"""A run on a laptop that sleeps: its limit of time counts awake time, what a person has time for the calendar."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from pipeline.engine.run import Run, Stop

from pipeline import wiring
from pipeline.core.events import Event, RunEnd, StageFinished
from pipeline.core.state import RunState
from pipeline.engine import runs
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


def worked_on(folder: Path, patch: pytest.MonkeyPatch, *, slept_s: float, worked_s: float) -> Run:
    """Work on a run whose machine sleeps and works after its first stage."""
    bare, laptop = Bare(folder, FLOW), Laptop()
    for name, value in bare.env.items():
        patch.setenv(name, value)

    def listen(event: Event, _: RunState) -> None:
        if isinstance(event, StageFinished) and event.stage == "a":
            laptop.sleep(slept_s)
            laptop.work(worked_s)

    world = msgspec.structs.replace(
        wiring.world(bare.root, listen), clock=laptop.now, awake=laptop.awake_s
    )
    name = runs.start(world, runs.Order(workflow="main", idea="an idea"))
    return runs.work(world, name, Stop())


def test_a_night_does_not_use_up_the_time_for_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = worked_on(tmp_path, monkeypatch, slept_s=NIGHT_S, worked_s=1.0)
    assert (run.state.end, run.state.awake_s) == (RunEnd.DONE, 1.0)
    assert run.state.finished_at is not None
    assert run.state.finished_at - run.started.at == timedelta(seconds=NIGHT_S + 1.0)


def test_a_long_day_uses_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = worked_on(tmp_path, monkeypatch, slept_s=0.0, worked_s=600.0)
    assert run.state.end is None
    assert "(wall)" in run.parked
