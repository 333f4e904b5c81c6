"""The keys and values of a flow file, as types: one struct per mapping, one field per key.

These are the words of `agents/flow.yaml` before it is compiled (`language/plan`). The descriptions
are the reference: `docs/reference/flow.md` is generated from them. A field whose Python name has a
unit keeps the key of the file as its encoded name, which is also the one stored with a run.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec

from pipeline.language.publishing import Publish
from pipeline.language.target import Target, WorkspaceNeeds
from pipeline.language.words import (
    Count,
    Duration,
    Expression,
    File,
    Glob,
    Name,
    Template,
    describe,
)

FAIL, CONTINUE = Name("fail"), Name("continue")
"""The values of `on_failure` and `on_exhausted` that are not the name of a workflow."""


class LockScope(StrEnum):
    """How far a lock reaches."""

    RUN = "run"
    REPO = "repo"


class FailureKind(StrEnum):
    """Why an attempt failed; `retry.on` lists the kinds that are worth another attempt."""

    TRANSIENT = "transient"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    AGENT = "agent"
    GATE = "gate"
    VIOLATION = "violation"
    NO_CHANGE = "no_change"
    MISSING = "missing"
    QUOTA = "quota"


class GateName(StrEnum):
    """The checks that the engine itself makes, on an exact tree."""

    RED = "red"
    GREEN = "green"
    PROOF = "proof"
    CHECKS = "checks"
    UNTAMPERED = "untampered"
    FINDINGS = "findings"
    DOCUMENTS = "documents"
    NOTICED = "noticed"


class May(StrEnum):
    """What an agent may do instead of its work."""

    ASK = "ask"
    DECLINE = "decline"
    LEAVE = "leave"


class Schema(StrEnum):
    """The shapes of output files that the engine knows."""

    WORK_PLAN = "work_plan"
    FINDINGS = "findings"
    DIAGNOSIS = "diagnosis"
    TESTS = "tests"
    OBJECTIONS = "objections"


class FieldType(StrEnum):
    """The type of a field of an output."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"
    OBJECT = "object"


class Retry(File, frozen=True, kw_only=True):
    """When a failed attempt is repeated.

    Attempts that are lost to a crash have a separate budget.
    """

    max: Annotated[int, describe("How many more attempts after the first.")] = 1
    on: Annotated[tuple[FailureKind, ...], describe("Which kinds of failure are retried.")] = (
        FailureKind.TRANSIENT,
        FailureKind.TIMEOUT,
        FailureKind.PROTOCOL,
        FailureKind.VIOLATION,
    )
    lost: Annotated[int, describe("How many attempts may be lost to crashes.")] = 3
    quota: Annotated[
        int, describe("How often to wait for a quota to be reset; after that the run parks.")
    ] = 12


class StageLimits(File, frozen=True, kw_only=True):
    """What one attempt may cost: reserved before it starts, settled when it is over."""

    usd: Annotated[float | None, describe("US dollars.")] = None
    tokens: Annotated[Count | None, describe("Tokens in and out: `200k`, `5M`.")] = None


class Defaults(File, frozen=True, kw_only=True):
    """What applies to every stage that does not set it itself."""

    backend: Annotated[Name, describe("Which back end runs the agents.")] = Name("command")
    command: Annotated[
        tuple[str, ...], describe("The agent's command line (back end `command`).")
    ] = ()
    model: Annotated[str, describe("Model name, passed to the back end.")] = ""
    pass_env: Annotated[
        tuple[str, ...],
        describe("Environment variables that agents may see, by name; `*` at the end."),
    ] = ()
    timeout_s: Annotated[
        Duration, describe("Longest time of one attempt, not counting time the machine is asleep.")
    ] = msgspec.field(default=Duration(1800.0), name="timeout")
    idle_timeout_s: Annotated[Duration, describe("Longest silence of one attempt.")] = (
        msgspec.field(default=Duration(1800.0), name="idle_timeout")
    )
    retry: Annotated[Retry, describe("When a failed attempt is repeated.")] = Retry()
    limits: Annotated[StageLimits, describe("What one attempt of an agent may cost.")] = (
        StageLimits()
    )


class Limits(File, frozen=True, kw_only=True):
    """Limits of a whole run.

    When one is reached, the run parks and can be resumed; nothing is lost.
    """

    parallel: Annotated[
        int, describe("How many stages run at once; `AGENT_PARALLEL_MAX` overrides it.")
    ] = 4
    usd: Annotated[float | None, describe("US dollars of all attempts together.")] = None
    tokens: Annotated[
        Count | None, describe("Tokens in and out of all attempts together: `200k`, `5M`.")
    ] = None
    wall_s: Annotated[
        Duration | None,
        describe("Time spent working on the run, not counting time the machine is asleep."),
    ] = msgspec.field(default=None, name="wall")


class Role(File, frozen=True, kw_only=True):
    """How an agent role is run, and with which prompt."""

    prompt: Annotated[str, describe("Template in `agent_prompts/`.")]
    backend: Annotated[Name | None, describe("Back end, instead of the default.")] = None
    command: Annotated[
        tuple[str, ...] | None, describe("Command line, instead of the default.")
    ] = None
    model: Annotated[str | None, describe("Model, instead of the default.")] = None
    pass_env: Annotated[
        tuple[str, ...] | None, describe("Variables it may see, instead of the default.")
    ] = None


class Lock(File, frozen=True, kw_only=True):
    """A single writer: only the stage that holds the lock may write its paths."""

    paths: Annotated[tuple[Glob, ...], describe("What the holder may write.")] = ()
    scope: Annotated[LockScope, describe("One holder in this run, or in the whole repository.")] = (
        LockScope.RUN
    )


class Output(File, frozen=True, kw_only=True):
    """A file that a stage has to write into its output folder."""

    shorthand: ClassVar[str] = "file"
    file: Annotated[str, describe("File name in `$PIPELINE_OUTPUT_DIR`.")]
    schema: Annotated[Schema | None, describe("Shape that the file must have (JSON), by name.")] = (
        None
    )
    fields: Annotated[
        dict[str, tuple[str, ...]],
        describe(
            "Fields that its JSON object must have: each `text`, `number`, `boolean`, `list`, "
            "`object`, or a list of the words it may hold."
        ),
    ] = {}
    optional: Annotated[bool, describe("Whether the stage may leave the file out.")] = False


class Loop(File, frozen=True, kw_only=True):
    """Repeats the stages below until a stage passes its gates."""

    until: Annotated[str, describe("`STAGE.passed`: the stage of this loop whose gates decide.")]
    max: Annotated[int, describe("Maximum number of rounds.")] = 3
    no_progress: Annotated[
        int, describe("This many rounds with the same failure or tree end the loop early.")
    ] = 2
    on_exhausted: Annotated[
        Name, describe("`fail`, or a workflow that then looks for the cause.")
    ] = FAIL


class Foreach(File, frozen=True, kw_only=True):
    """Runs the stages below once for each item of a list from an earlier stage."""

    shorthand: ClassVar[str] = "over"
    over: Annotated[Expression, describe("`STAGE.OUTPUT.FIELD`: the list.")]
    key: Annotated[
        str, describe("Field of an item that names it; without it, items are numbered from 1.")
    ] = ""
    max: Annotated[
        int,
        describe("Maximum number of items; a longer list fails the stage, it is never truncated."),
    ] = 20


class Approval(File, frozen=True, kw_only=True):
    """Waits until a person has looked and answers: `pipeline answer RUN approve|revise|stop`.

    The answer is bound to the tree that was shown.
    """

    shorthand: ClassVar[str] = "ask"
    ask: Annotated[Template, describe("The question.")]
    show: Annotated[
        tuple[str, ...], describe("`STAGE.OUTPUT` files to show with it, and `diff`.")
    ] = ()
    timeout_s: Annotated[
        Duration | None,
        describe("Longest wait, in calendar time; after that it counts as `stop`."),
    ] = msgspec.field(default=None, name="timeout")
    revisions: Annotated[
        int, describe("How often `revise` may send back the stages that it needs.")
    ] = 3


class Stage(File, frozen=True, kw_only=True):
    """One step: exactly one of the first eight keys sets its kind."""

    agent: Annotated[Name | None, describe("Runs an agent in this role.")] = None
    run: Annotated[
        str | None,
        describe(
            "A shell command, run in the workspace. Values reach it through `env`, never "
            "through `{{ }}`."
        ),
    ] = None
    parallel: Annotated["dict[str, Stage] | None", describe("Stages that may run at once.")] = None
    loop: Annotated[Loop | None, describe("Repeat `stages`.")] = None
    foreach: Annotated[Foreach | None, describe("Run `stages` for each item of a list.")] = None
    workflow: Annotated[Name | None, describe("Another workflow, as a part of this run.")] = None
    approval: Annotated[Approval | None, describe("Wait for a person's answer.")] = None
    publish: Annotated[Publish | None, describe("Publish the run's tree.")] = None
    stages: Annotated["dict[str, Stage] | None", describe("The stages of a loop or foreach.")] = (
        None
    )
    inputs: Annotated[
        dict[str, Template], describe("Values for the inputs of the `workflow`.")
    ] = {}
    mode: Annotated[str, describe("Passed to the prompt as `mode`.")] = ""
    needs: Annotated[
        tuple[Name, ...], describe("Stages on the same level that must be over first.")
    ] = ()
    when: Annotated[
        Expression,
        describe("Run only if this holds; otherwise it is skipped, and what needs it goes on."),
    ] = Expression("")
    lock: Annotated[
        tuple[Name, ...], describe("Locks it holds while it runs; it may write their paths.")
    ] = ()
    writes: Annotated[
        tuple[Glob, ...], describe("Paths it may write in addition to those of its locks.")
    ] = ()
    reads: Annotated[
        tuple[Glob, ...] | None,
        describe(
            "Paths that are put into its workspace, in addition to those it may write; an empty "
            "list for none (default: all)."
        ),
    ] = None
    outputs: Annotated[dict[str, Output], describe("Files it must write.")] = {}
    gates: Annotated[tuple[GateName, ...], describe("What the engine checks when it is done.")] = ()
    gates_first: Annotated[
        bool,
        describe(
            "Ask the gates before the agent: it is only called when they are not satisfied, and is "
            "given what they found."
        ),
    ] = False
    retry: Annotated[Retry | None, describe("When a failed attempt is repeated.")] = None
    on_failure: Annotated[
        Name,
        describe(
            "What happens when it has failed for good: `fail` the run, `continue`, or a workflow "
            "that looks for the cause."
        ),
    ] = FAIL
    timeout_s: Annotated[Duration | None, describe("Longest time of one attempt.")] = msgspec.field(
        default=None, name="timeout"
    )
    idle_timeout_s: Annotated[Duration | None, describe("Longest silence of one attempt.")] = (
        msgspec.field(default=None, name="idle_timeout")
    )
    limits: Annotated[StageLimits | None, describe("What one attempt may cost.")] = None
    may: Annotated[
        tuple[May, ...],
        describe(
            "What the agent may do instead: `ask` a person, who answers with "
            "`pipeline answer RUN -m ...`; `decline`, because what was asked for exists already, "
            "and name the places; `leave` the files of its lock as they are."
        ),
    ] = ()
    env: Annotated[
        dict[str, Template],
        describe("Environment variables; `{{ inputs.idea }}` and the like are filled in."),
    ] = {}


class Input(File, frozen=True, kw_only=True):
    """A value that a workflow is started with."""

    description: Annotated[str, describe("One sentence for lists.")] = ""
    required: Annotated[bool, describe("Whether it must be given.")] = False
    default: Annotated[str, describe("Its value when it is not given.")] = ""


class Workflow(File, frozen=True, kw_only=True):
    """A graph of stages, under a name that `trigger_workflow` takes."""

    description: Annotated[str, describe("One sentence for lists.")] = ""
    inputs: Annotated[
        dict[str, Input],
        describe(
            "Values it is started with (`--input NAME=VALUE`); `idea`, `feature` and "
            "`base_branch` always exist. The idea is required unless this has "
            "`idea: {required: false}`."
        ),
    ] = {}
    stages: Annotated[dict[str, Stage], describe("The stages, by name.")]


class Trigger(File, frozen=True, kw_only=True):
    """What a file below `.triggers/runs/<run_id>/` starts."""

    workflow: Annotated[Name, describe("The workflow to start.")]


class Flow(File, frozen=True, kw_only=True):
    """The whole file."""

    version: Annotated[int, describe("Version of the language: 1.")]
    extends: Annotated[
        str,
        describe(
            "A shipped flow that this one changes: `builtin/idea_to_feature@1`. Mappings are "
            "merged by key, `~` removes a key, everything else is replaced."
        ),
    ] = ""
    targets: Annotated[
        tuple[Target, ...],
        describe(
            "What is built and tested; a flow of commands alone, without agents and gates, "
            "needs none."
        ),
    ] = ()
    workflows: Annotated[dict[str, Workflow], describe("The workflows, by name.")]
    defaults: Annotated[Defaults, describe("What applies to stages that do not set it.")] = (
        Defaults()
    )
    limits: Annotated[Limits, describe("Limits of a run.")] = Limits()
    workspace: Annotated[
        WorkspaceNeeds, describe("What a workspace needs besides the files of its tree.")
    ] = WorkspaceNeeds()
    agents: Annotated[dict[str, Role], describe("Roles, by name.")] = {}
    locks: Annotated[dict[str, Lock], describe("Single writers, by name.")] = {}
    records: Annotated[
        tuple[Glob, ...],
        describe("Paths that are kept with the run and left out of the pull request."),
    ] = ()
    triggers: Annotated[
        dict[str, Trigger],
        describe(
            "Which dropped file starts which workflow; checked here, but not yet watched for."
        ),
    ] = {}
