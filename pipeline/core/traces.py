"""What a run has made, told by its events alone: enough to take it back without its plan."""

from collections.abc import Iterable

import msgspec

from pipeline.core.effects import Effects
from pipeline.core.events import (
    EffectDone,
    EffectIntended,
    Event,
    PersonEdited,
    RunStarted,
    StageFinished,
    StageStarted,
    TakenBack,
)


class Traces(msgspec.Struct, frozen=True, kw_only=True):
    """A run's first event, its effects, its newest commit, and the attempts that did not end."""

    started: RunStarted
    effects: Effects
    commit: str
    running: dict[str, int]

    @property
    def work(self) -> str:
        """The commit that holds what the run made; empty when it made nothing."""
        branch = self.effects.branch
        return branch.head if branch is not None else self.commit


def traces(events: Iterable[Event]) -> Traces | None:
    """Fold events into traces; None without a first event."""
    started, commit = None, ""
    effects, running = Effects(intended={}, done={}), dict[str, int]()
    for event in events:
        match event:
            case RunStarted():
                started = event
            case StageStarted():
                running[event.stage] = event.attempt
            case StageFinished():
                running.pop(event.stage, None)
                commit = event.commit or commit
            case PersonEdited() | TakenBack():
                commit = event.commit
            case EffectIntended():
                effects.intend(event.revision, event.effect)
            case EffectDone():
                effects.see(event.revision, event.effect)
            case _:
                pass
    if started is None:
        return None
    return Traces(started=started, effects=effects, commit=commit, running=running)
