"""Runs worked on in this process, so that a test sees events and states as they happen."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from pipeline import wiring
from pipeline.core.events import Event
from pipeline.core.state import RunState
from pipeline.engine.ground import flows
from pipeline.engine.ground.lookup import load_state
from pipeline.engine.ground.world import World
from pipeline.engine.running.loop import Stop
from pipeline.engine.starting import runs
from pipeline.engine.starting.work import work
from pipeline.files.rundir import RunDir
from tests.helpers.bare import Bare

TARGETS = "targets: [{{name: app, source: [src/**], tests: [tests/**], test: {test}}}]"


class Heard:
    """A listener that keeps what it heard, for each run."""

    def __init__(self) -> None:
        self.events: dict[str, list[Event]] = {}
        self.closed: list[str] = []

    def made_for(self, rundir: RunDir) -> "_Ear":
        return _Ear(self, rundir.run_id)


class _Ear:
    def __init__(self, heard: Heard, run_id: str) -> None:
        self._heard = heard
        self._run_id = run_id

    def show_again(self, events: Sequence[Event], state: RunState) -> None:
        pass

    def hear(self, event: Event, _: RunState) -> None:
        self._heard.events.setdefault(self._run_id, []).append(event)

    def close(self, _: RunState) -> None:
        self._heard.closed.append(self._run_id)


class Inside:
    """A small repository with a flow, and the engine's own functions to work on runs of it."""

    def __init__(
        self,
        folder: Path,
        patch: pytest.MonkeyPatch,
        stages: str,
        roles: str = "",
        target: str = "",
        test: str = "python -m pytest -q",
    ) -> None:
        """`target` is more for the flow's only target, `test` its test command."""
        targets = TARGETS.format(test=test)
        targets = targets.replace("}]", f", {target}}}]") if target else targets
        flow = f"version: 1\n{targets}\n{roles}workflows:\n  main:\n    stages:\n{stages}"
        self.bare = Bare(folder, flow)
        for name, value in self.bare.env.items():
            patch.setenv(name, value)
        self.heard = Heard()
        self.world: World = wiring.world(self.bare.root, self.heard.made_for)

    def start(self, **order: object) -> str:
        """Begin a run; nothing works on it yet."""
        source = flows.read(self.world)
        wanted = msgspec.convert({"workflow": "main", "idea": "an idea", **order}, runs.RunOrder)
        return runs.start(self.world, source, wanted)

    def work(self, run: str) -> RunState:
        return work(self.world, run, Stop())

    def state(self, run: str) -> RunState:
        """Where a run stands, by its journal."""
        return load_state(self.world, run)

    def run(self) -> RunState:
        """A run from its beginning to where it stops."""
        return self.work(self.start())


AGENTS = "agents:\n  says: {prompt: plain.md.j2, command: [sh, agent.sh]}\n"
"""One role, which does what the variable `DO` of its stage says."""


def agent(name: str, does: str, **keys: object) -> str:
    """The line of the flow with a stage that an agent plays, who does this."""
    stage = {"agent": "says", "env": {"DO": does}, **keys}
    return f"      {name}: {json.dumps(stage)}\n"


def reports(**result: object) -> str:
    """What an agent does who only reports this about its call."""
    return f"echo {shlex.quote(json.dumps(result))} > $PIPELINE_RESULT"
