"""An event in one line, for logs and for the progress on a terminal."""

from collections.abc import Sequence

from pipeline.core.effects import BranchEffect, PullRequestEffect, PushEffect
from pipeline.core.events import (
    Answered,
    ApprovalAsked,
    CancelRequested,
    ConditionAnswered,
    ConditionResult,
    EffectDone,
    Event,
    Invoked,
    ItemsFound,
    LimitsRaised,
    LoopFinished,
    Noted,
    PersonEdited,
    RoundStarted,
    RunFinished,
    RunOpened,
    RunParked,
    RunStarted,
    StageCancelled,
    StageFinished,
    StageStarted,
    TakenBack,
    TokenAllowed,
    TokensFound,
    WorkflowStarted,
)
from pipeline.core.evidence import GateResult
from pipeline.core.outcomes import Outcome

_NAMED_MAX = 5


def describe(event: Event) -> str:
    """Describe an event in one line for people; empty for events of no interest."""
    where, what = describe_in_parts(event)
    return f"{where}: {what}" if where and what else what


def describe_in_parts(  # noqa: C901, PLR0911 - one case each
    event: Event,
) -> tuple[str, str]:
    """Return the stage, loop or workflow that an event is about (or nothing), and the rest."""
    match event:
        case StageStarted():
            more = f", round {event.round}" if event.round > 1 else ""
            return event.stage, f"started (attempt {event.attempt}{more})"
        case StageFinished():
            return event.stage, _outcome(event)
        case ConditionAnswered() if event.result is not ConditionResult.GO:
            word = "skipped" if event.result is ConditionResult.SKIP else "failed"
            return event.stage, f"{word}, {event.reason}"
        case ItemsFound():
            keys = ", ".join(item.key for item in event.items)
            return event.stage, event.problem or f"{len(event.items)} item(s): {keys}"
        case ApprovalAsked():
            return event.stage, f"asks {event.question.partition(chr(10))[0]}"
        case Answered():
            comment = f", {event.comment}" if event.comment else ""
            return event.stage, f"{event.answer.value}{comment}"
        case StageCancelled():
            return event.stage, f"to be cancelled, {event.reason}"
        case Invoked():
            return event.stage, "to be run by itself"
        case RoundStarted():
            count = len(event.feedback)
            return event.loop, f"round {event.round}, with feedback on {count} failure(s)"
        case LoopFinished():
            return event.loop, event.reason
        case WorkflowStarted():
            return event.workflow, f"started, because {event.reason}"
        case _:
            return "", _of_run(event)


def _of_run(event: Event) -> str:  # noqa: C901, PLR0911, PLR0912 - one case each
    match event:
        case RunStarted():
            off = f"off {event.base_branch} at {event.base[:12]}"
            return f"run {event.run_id} of {event.workflow}: {event.feature}, {off}"
        case TakenBack():
            return f"to run again, because {event.reason}" if event.stages else event.reason
        case PersonEdited():
            return f"{event.author.rpartition(' <')[0]} edited {', '.join(event.changed[:5])}"
        case LimitsRaised():
            return "other limits: " + ", ".join(_limits(event))
        case CancelRequested():
            return f"to be cancelled, {event.reason}"
        case EffectDone():
            return _effect(event)
        case TokensFound():
            return f"{len(event.places)} line(s) look like a token; a person has to look"
        case TokenAllowed():
            return f"{event.path} may be published" + (f", {event.by} says" if event.by else "")
        case Noted():
            return f"note: {event.text}"
        case RunParked():
            return f"waits: {event.reason}"
        case RunOpened():
            return f"process {event.pid} works on it"
        case RunFinished():
            end = event.end.value.replace("_", " ")
            return f"run {end}" + (f": {event.reason}" if event.reason else "")
        case _:
            return ""


def _effect(event: EffectDone) -> str:
    match event.effect:
        case BranchEffect(branch=branch):
            return f"branch {branch} is set"
        case PushEffect(branch=branch):
            return f"branch {branch} is pushed"
        case PullRequestEffect(number=number, url=url):
            return f"pull request {number}: {url}"


def _limits(event: LimitsRaised) -> list[str]:
    parts = {"USD": event.usd, "tokens": event.tokens, "s of work": event.wall_s}
    return [f"{value:g} {unit}" for unit, value in parts.items() if value is not None]


def _outcome(event: StageFinished) -> str:
    left_out = f"left out: {_names(event.dropped)}" if event.dropped else ""
    ignored = "; ".join(event.ignored[:_NAMED_MAX])
    style = "formatted only in its own lines, as the rest was not before: "
    style = style + _names(event.partly_formatted) if event.partly_formatted else ""
    if event.outcome is not Outcome.DONE:
        said = f"{event.outcome.value}: {event.reason}"
        return "; ".join(part for part in (said, left_out, ignored) if part)
    took = f"done in {event.duration_s:.1f} s" if event.duration_s else "done"
    gates = ", ".join(map(_gate, event.gates))
    return "; ".join(part for part in (took, gates, event.reason, left_out, ignored, style) if part)


def _names(paths: Sequence[str]) -> str:
    more = len(paths) - _NAMED_MAX
    return ", ".join(paths[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _gate(gate: GateResult) -> str:
    return f"{gate.gate.value} {gate.verdict.words}"
