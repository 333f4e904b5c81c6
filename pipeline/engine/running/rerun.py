"""Having stages run again: a person wants it, or what they are based on changed."""

from datetime import datetime

from pipeline.core import values
from pipeline.core.decide import TakeBack
from pipeline.core.state import RunState
from pipeline.engine.ground.record import Record
from pipeline.engine.running.basis import Bases
from pipeline.engine.running.commits import recompose
from pipeline.repo.store import Store


def record_rerun(
    store: Store, record: Record, bases: Bases, command: TakeBack, now: datetime
) -> None:
    """Make stages run again, on a tree without their change."""
    record.add(recompose(store, record.events, record.state, command, now))
    for stage in command.stages:
        bases.forget_outputs(stage)


def outdated(state: RunState, stale: dict[str, str]) -> TakeBack | None:
    """Return what has to run again; None when nothing changed, or all is published.

    `stale` names the stages whose basis is another now, with what of it has changed.
    """
    if not stale or state.effects.branch is not None:
        return None
    stages = values.closure(state, stale)
    reason = "; ".join(f"{stage}: {what} changed since" for stage, what in stale.items())
    return TakeBack(tuple(stages), (), reason)
