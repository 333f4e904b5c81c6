"""What can happen in a run, as values: one struct an event, one JSON line in the journal.

`at` is UTC wall time for people; order comes from the line's number, never from the clock.
Journals of every release are replayed in the tests: add fields with defaults, never take one away.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from pipeline.core.effects import Effect
from pipeline.core.evidence import GateResult
from pipeline.core.outcomes import Outcome, RunEnd, StopReason
from pipeline.core.violations import Violation
from pipeline.language.flow import FailureKind


class ConditionResult(StrEnum):
    """What the answer to a stage's `when` means for it."""

    GO = "go"
    SKIP = "skip"
    FAIL = "fail"


class Answer(StrEnum):
    """What a person can say to an approval or to an agent's question, and what silence means."""

    APPROVE = "approve"
    REVISE = "revise"
    REPLY = "reply"
    STOP = "stop"
    EXPIRED = "expired"


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt used; None means unknown, never zero."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    turns: int | None = None


class Basis(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a stage's result stands on, as digests.

    Its part of the flow, its prompt, what earlier stages gave.
    """

    flow: str = ""
    prompt: str = ""
    inputs: str = ""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a foreach: the key that names it, and the value."""

    key: str
    value: Any = None


class _Event(msgspec.Struct, frozen=True, tag_field="event", omit_defaults=True):
    at: datetime


class RunStarted(_Event, tag="run_started", frozen=True, kw_only=True):
    """A run is born: everything it needs to know later is pinned here.

    `state_folder` is the repository's part of the state folder, where its working folder lies.
    """

    run_id: str
    workflow: str
    feature: str
    idea: str
    base: str
    base_branch: str
    author: str = ""
    cassette: str = ""
    publish: bool = True
    remote: str = ""
    flow_digest: str = ""
    tools: dict[str, str] = {}
    inputs: dict[str, str] = {}
    forked_from: str = ""
    state_folder: str = ""

    @property
    def request(self) -> str:
        """What was asked for, as the file of the run folder says it."""
        head = f"- run: {self.run_id}\n- base branch: {self.base_branch}"
        return f"# {self.feature}\n\n{head}\n\n{self.idea}\n"


class StageStarted(_Event, tag="stage_started", frozen=True, kw_only=True):
    """An attempt begins; written and synced before anything is paid for."""

    stage: str
    attempt: int
    round: int = 1
    slot: int = 0
    tree: str = ""
    start_tree: str = ""


class StageFinished(_Event, tag="stage_finished", frozen=True, kw_only=True):
    """An attempt ended. `tree` and `commit` are the run's newest after a done writer.

    `values` holds the outputs that the flow gives a shape, for conditions; `formatted` names the
    changed files that the repository's formatter changed once more, `partly_formatted` those that
    were not formatted before the stage, so that only its own lines are now. `dropped` are new files
    outside the stage's paths, `ignored` new ones inside that git ignores, each with the rule.
    `inherited` names the run that did the work, in a fork. `awake_s` is how long this process has
    been awake with the run. A parked attempt says by `stop` for whom it waits, and any by `hint`
    what a person can type.
    """

    stage: str
    attempt: int
    outcome: Outcome
    reason: str = ""
    kind: FailureKind | None = None
    stop: StopReason | None = None
    hint: str = ""
    violations: tuple[Violation, ...] = ()
    tree: str = ""
    commit: str = ""
    changed: tuple[str, ...] = ()
    formatted: tuple[str, ...] = ()
    partly_formatted: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    gates: tuple[GateResult, ...] = ()
    outputs: dict[str, str] = {}
    usage: Usage = Usage()
    agent: str = ""
    duration_s: float = 0.0
    retry_after: datetime | None = None
    values: dict[str, Any] = {}
    basis: Basis = Basis()
    inherited: str = ""
    awake_s: float = 0.0


class ConditionAnswered(_Event, tag="condition_answered", frozen=True, kw_only=True):
    """A stage's `when` was answered.

    It goes on, is skipped, or fails because there is no answer.
    """

    stage: str
    result: ConditionResult
    reason: str = ""


class ItemsFound(_Event, tag="items_found", frozen=True, kw_only=True):
    """A foreach knows its items; with a problem it has none and fails."""

    stage: str
    items: tuple[Item, ...] = ()
    problem: str = ""


class ApprovalAsked(_Event, tag="approval_asked", frozen=True, kw_only=True):
    """A person is asked, about one tree (empty: the base); asked again when the tree changes."""

    stage: str
    tree: str = ""
    question: str = ""
    until: datetime | None = None


class Answered(_Event, tag="answered", frozen=True, kw_only=True):
    """A person answered, about the tree they were shown; void for any other."""

    stage: str
    answer: Answer
    tree: str = ""
    by: str = ""
    comment: str = ""


class RoundStarted(_Event, tag="round_started", frozen=True, kw_only=True):
    """A loop begins another round: its stages are pending again, with feedback on what failed."""

    loop: str
    round: int
    feedback: tuple[str, ...] = ()


class LoopFinished(_Event, tag="loop_finished", frozen=True, kw_only=True):
    """A loop ended: with its `until` met, or not, and why."""

    loop: str
    passed: bool
    reason: str


class WorkflowStarted(_Event, tag="workflow_started", frozen=True, kw_only=True):
    """A follow-up workflow of the same run begins."""

    workflow: str
    reason: str


class EffectIntended(_Event, tag="effect_intended", frozen=True, kw_only=True):
    """Written and synced before something outside is changed."""

    effect: Effect
    revision: int = 1


class EffectDone(_Event, tag="effect_done", frozen=True, kw_only=True):
    """The change outside is there; seen by looking at it, not by trusting a reply."""

    effect: Effect
    revision: int = 1


class TokenPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a line that a run added that looks like a token; line 0 is the file's name."""

    path: str
    line: int
    shape: str


class TokensFound(_Event, tag="tokens_found", frozen=True, kw_only=True):
    """The tree to publish has what looks like tokens; a person has to look at each file."""

    tree: str
    places: tuple[TokenPlace, ...]


class TokenAllowed(_Event, tag="token_allowed", frozen=True, kw_only=True):
    """A person looked at a file of a tree: what looks like a token there may be published."""

    path: str
    tree: str
    by: str = ""


class RunOpened(_Event, tag="run_opened", frozen=True, kw_only=True):
    """A process took the run up again."""

    pid: int


class Invoked(_Event, tag="invoked", frozen=True, kw_only=True):
    """A person has one stage run by itself, again if it was done; the rest of the run waits."""

    stage: str
    publish: bool | None = None


class TakenBack(_Event, tag="taken_back", frozen=True, kw_only=True):
    """Stages are to run again, and everything that builds on them.

    `tree` is the run's without their change.
    """

    stages: tuple[str, ...]
    reason: str
    tree: str = ""
    commit: str = ""
    feedback: tuple[str, ...] = ()


class PersonEdited(_Event, tag="person_edited", frozen=True, kw_only=True):
    """A person edited the run's tree `before`; `tree` and `commit` are the run's newest since."""

    author: str
    before: str
    tree: str
    commit: str
    changed: tuple[str, ...] = ()


class StageCancelled(_Event, tag="stage_cancelled", frozen=True, kw_only=True):
    """A person wants one stage to end."""

    stage: str
    reason: str = ""


class LimitsRaised(_Event, tag="limits_raised", frozen=True, kw_only=True):
    """A person gives the run other limits; what is None stays as it is."""

    usd: float | None = None
    tokens: int | None = None
    wall_s: float | None = None


class CancelRequested(_Event, tag="cancel_requested", frozen=True, kw_only=True):
    """A person wants the run to end."""

    reason: str = ""


class RunParked(_Event, tag="run_parked", frozen=True, kw_only=True):
    """Nothing could go on, or the process was asked to stop; `stop` is the reason."""

    stop: StopReason
    reason: str
    hint: str = ""


class Noted(_Event, tag="noted", frozen=True, kw_only=True):
    """Something a person should know; changes nothing."""

    text: str


class RunFinished(_Event, tag="run_finished", frozen=True, kw_only=True):
    """The run is over; `stop` says more than `end` does where the run could not even begin."""

    end: RunEnd
    reason: str = ""
    stop: StopReason | None = None


Event = (
    RunStarted
    | StageStarted
    | StageFinished
    | ConditionAnswered
    | ItemsFound
    | ApprovalAsked
    | Answered
    | RoundStarted
    | LoopFinished
    | WorkflowStarted
    | EffectIntended
    | EffectDone
    | TokensFound
    | TokenAllowed
    | RunOpened
    | Invoked
    | TakenBack
    | PersonEdited
    | StageCancelled
    | LimitsRaised
    | CancelRequested
    | RunParked
    | Noted
    | RunFinished
)

_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_ENCODER = msgspec.json.Encoder()


def encode(event: Event) -> bytes:
    """Turn an event into one JSON object without a newline."""
    return _ENCODER.encode(event)


def decode(data: bytes) -> Event:
    """Turn one JSON object back into its event. Raises `msgspec.ValidationError`."""
    return _DECODER.decode(data)
