"""What a flow file may say, as types: one struct a mapping, one field a key.

These are the words of `agents/flow.yaml` before it is compiled (`language/plan`). The descriptions
are the reference: `docs/reference/flow.md` is made from them.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

from pipeline.language.target import Target, Workspace
from pipeline.language.words import Count, Duration, Expression, File, Glob, Name, Template, says

FAIL, CONTINUE = Name("fail"), Name("continue")
"""What `on_failure` and `on_exhausted` can say besides the name of a workflow."""

BRANCH = "feature/{feature}-{run_id}"
"""What the branch of a run is called, unless `publish.branch` says otherwise."""


class Scope(StrEnum):
    """How far a lock reaches."""

    RUN = "run"
    REPO = "repo"


class FailureKind(StrEnum):
    """Why an attempt failed; `retry.on` names those that are worth another attempt."""

    TRANSIENT = "transient"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    AGENT = "agent"
    GATE = "gate"
    VIOLATION = "violation"
    NO_CHANGE = "no_change"
    MISSING = "missing"
    QUOTA = "quota"


FAILURE_WORDS = {
    FailureKind.TRANSIENT: "it may work later: exit status 75",
    FailureKind.TIMEOUT: "it took longer than `timeout`, or was silent longer than `idle_timeout`",
    FailureKind.PROTOCOL: "a declared output was not delivered, or does not have its shape",
    FailureKind.AGENT: "the command or agent says so: another exit status than 0, or `status: failed`",
    FailureKind.GATE: "a gate did not pass",
    FailureKind.VIOLATION: "it wrote where it may not, or wrote a key down; its change is undone and kept aside",
    FailureKind.NO_CHANGE: "an agent that holds a lock says it is done, and has changed nothing",
    FailureKind.MISSING: "something it needs is not there: a program, a value for its `env`",
    FailureKind.QUOTA: "the quota is used up; the stage waits until it is given back, which costs no retry",
}
"""What each kind of failure means."""


class GateName(StrEnum):
    """The checks that the engine makes itself, on an exact tree."""

    RED = "red"
    GREEN = "green"
    PROOF = "proof"
    CHECKS = "checks"
    UNTAMPERED = "untampered"
    FINDINGS = "findings"


class May(StrEnum):
    """What an agent may say instead of doing its work."""

    ASK = "ask"
    DECLINE = "decline"


class Schema(StrEnum):
    """The shapes of output files that the engine knows."""

    WORK_PLAN = "work_plan"
    FINDINGS = "findings"
    DIAGNOSIS = "diagnosis"


class FieldType(StrEnum):
    """What a field of an output holds."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"
    OBJECT = "object"


class Retry(File, frozen=True, kw_only=True):
    """When an attempt that failed is made again.

    Attempts lost to a crash have a budget of their own.
    """

    max: Annotated[int, says("How many more attempts after the first.")] = 1
    on: Annotated[tuple[FailureKind, ...], says("Which kinds of failure are tried again.")] = (
        FailureKind.TRANSIENT,
        FailureKind.TIMEOUT,
        FailureKind.PROTOCOL,
    )
    lost: Annotated[int, says("How many attempts may be lost to crashes.")] = 3
    quota: Annotated[
        int, says("How often to wait for a quota to be given back; then the run parks.")
    ] = 12


class StageLimits(File, frozen=True, kw_only=True):
    """What one attempt may cost: reserved before it starts, settled when it is over."""

    usd: Annotated[float | None, says("US dollars.")] = None
    tokens: Annotated[Count | None, says("Tokens in and out: `200k`, `5M`.")] = None


class Defaults(File, frozen=True, kw_only=True):
    """What every stage takes unless it says otherwise."""

    backend: Annotated[Name, says("Which back end plays the agents.")] = Name("command")
    command: Annotated[tuple[str, ...], says("The agent's command line (back end `command`).")] = ()
    model: Annotated[str, says("Model name, handed to the back end.")] = ""
    pass_env: Annotated[
        tuple[str, ...], says("Environment variables that agents may see, by name; `*` at the end.")
    ] = ()
    timeout: Annotated[Duration, says("Longest time of one attempt, in awake time.")] = Duration(
        1800.0
    )
    idle_timeout: Annotated[Duration, says("Longest silence of one attempt.")] = Duration(1800.0)
    retry: Annotated[Retry, says("When a failed attempt is made again.")] = Retry()
    limits: Annotated[StageLimits, says("What one attempt of an agent may cost.")] = StageLimits()


class Limits(File, frozen=True, kw_only=True):
    """Bounds of a whole run. When one is reached the run parks, resumable; nothing is lost."""

    parallel: Annotated[int, says("Stages at once; `AGENT_PARALLEL_MAX` goes before it.")] = 4
    usd: Annotated[float | None, says("US dollars of all attempts together.")] = None
    tokens: Annotated[
        Count | None, says("Tokens in and out of all attempts together: `200k`, `5M`.")
    ] = None
    wall: Annotated[Duration | None, says("Awake time that is worked on the run.")] = None


class Role(File, frozen=True, kw_only=True):
    """Who plays an agent role, and what it is told."""

    prompt: Annotated[str, says("Template in `agent_prompts/`.")]
    backend: Annotated[Name | None, says("Back end, instead of the default.")] = None
    command: Annotated[tuple[str, ...] | None, says("Command line, instead of the default.")] = None
    model: Annotated[str | None, says("Model, instead of the default.")] = None
    pass_env: Annotated[
        tuple[str, ...] | None, says("Variables it may see, instead of the default.")
    ] = None


class Lock(File, frozen=True, kw_only=True):
    """A single writer: whoever holds it may write its paths, and nobody else."""

    paths: Annotated[tuple[Glob, ...], says("What the holder may write.")] = ()
    scope: Annotated[Scope, says("One holder in this run, or in the whole repository.")] = Scope.RUN


class Output(File, frozen=True, kw_only=True):
    """A file that a stage has to deliver into its output folder."""

    shorthand: ClassVar[str] = "file"
    file: Annotated[str, says("File name in `$PIPELINE_OUTPUT_DIR`.")]
    schema: Annotated[Schema | None, says("Shape that the file must have (JSON), by name.")] = None
    fields: Annotated[
        dict[str, tuple[str, ...]],
        says(
            "Fields that its JSON object must have: each `text`, `number`, `boolean`, `list`, `object`, "
            "or a list of the words it may hold."
        ),
    ] = {}


class Loop(File, frozen=True, kw_only=True):
    """Rounds over the stages below, until a gate's word ends them."""

    until: Annotated[str, says("`STAGE.passed`: a stage of this loop whose gates decide.")]
    max: Annotated[int, says("Most rounds.")] = 3
    no_progress: Annotated[
        int, says("So many rounds with the same failure or tree end it early.")
    ] = 2
    on_exhausted: Annotated[Name, says("`fail`, or a workflow that then looks for the cause.")] = (
        FAIL
    )


class Foreach(File, frozen=True, kw_only=True):
    """The stages below once for each item of a list that an earlier stage put out."""

    shorthand: ClassVar[str] = "over"
    over: Annotated[Expression, says("`STAGE.OUTPUT.FIELD`: the list.")]
    key: Annotated[
        str, says("Field of an item that names it; without it items are counted from 1.")
    ] = ""
    max: Annotated[int, says("Most items; a longer list fails the stage, it is never cut.")] = 20


class Approval(File, frozen=True, kw_only=True):
    """A person looks and answers: `pipeline answer RUN approve|revise|stop`.

    Bound to the tree that is shown.
    """

    shorthand: ClassVar[str] = "ask"
    ask: Annotated[Template, says("The question.")]
    show: Annotated[tuple[str, ...], says("`STAGE.OUTPUT` files to show with it, and `diff`.")] = ()
    timeout: Annotated[
        Duration | None, says("Longest wait, by the calendar; then it counts as `stop`.")
    ] = None
    revisions: Annotated[
        int, says("How often `revise` may send back the stages that it needs.")
    ] = 3


class Style(StrEnum):
    """How the subjects of commits are worded."""

    AUTO = "auto"
    CONVENTIONAL = "conventional"
    PLAIN = "plain"


class Choice(StrEnum):
    """Whether something is done; `auto` does as the repository does."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Publish(File, frozen=True, kw_only=True):
    """Branch, commits, push and pull request."""

    draft: Annotated[bool, says("Open the pull request as a draft.")] = True
    style: Annotated[
        Style,
        says("How commits are worded; `auto` finds it from the newest 50 subjects of the base."),
    ] = Style.AUTO
    sign: Annotated[
        Choice, says("Whether commits are signed; `auto` does what your `commit.gpgsign` says.")
    ] = Choice.AUTO
    signoff: Annotated[
        Choice,
        says(
            "Whether commits carry `Signed-off-by`; `auto` does it where most of the newest commits do."
        ),
    ] = Choice.AUTO
    branch: Annotated[
        str,
        says(
            "Name of the branch; `{run_id}` must stand in it, `{feature}` can, both in single braces."
        ),
    ] = BRANCH
    trailers: Annotated[dict[str, str], says("More trailers for every commit, by name.")] = {}


class Stage(File, frozen=True, kw_only=True):
    """One step: exactly one of the first eight keys says which kind."""

    agent: Annotated[Name | None, says("An agent of this role works.")] = None
    run: Annotated[
        str | None,
        says("A shell command, run in the workspace. Values come by `env`, never by `{{ }}`."),
    ] = None
    parallel: Annotated["dict[str, Stage] | None", says("Stages that may run at once.")] = None
    loop: Annotated[Loop | None, says("Repeat `stages`.")] = None
    foreach: Annotated[Foreach | None, says("Do `stages` for each item of a list.")] = None
    workflow: Annotated[Name | None, says("Another workflow, as a part of this run.")] = None
    approval: Annotated[Approval | None, says("Wait for a person's answer.")] = None
    publish: Annotated[Publish | None, says("Publish the run's tree.")] = None
    stages: Annotated["dict[str, Stage] | None", says("The stages of a loop or foreach.")] = None
    inputs: Annotated[dict[str, Template], says("Values for the inputs of the `workflow`.")] = {}
    mode: Annotated[str, says("Handed to the prompt as `mode`.")] = ""
    needs: Annotated[tuple[Name, ...], says("Stages beside this one that must be over first.")] = ()
    when: Annotated[
        Expression, says("Only if this holds; else it is skipped, and what needs it goes on.")
    ] = Expression("")
    lock: Annotated[
        tuple[Name, ...], says("Locks it holds while it runs; it may write their paths.")
    ] = ()
    writes: Annotated[tuple[Glob, ...], says("Paths it may write besides those of its locks.")] = ()
    reads: Annotated[
        tuple[Glob, ...] | None,
        says(
            "Paths that are put into its workspace, besides those it may write; an empty list for none (default: all)."
        ),
    ] = None
    outputs: Annotated[dict[str, Output], says("Files it must deliver.")] = {}
    gates: Annotated[tuple[GateName, ...], says("What the engine checks when it is done.")] = ()
    retry: Annotated[Retry | None, says("When a failed attempt is made again.")] = None
    on_failure: Annotated[
        Name,
        says(
            "When it failed for good: `fail` the run, `continue`, or a workflow that looks for the cause."
        ),
    ] = FAIL
    timeout: Annotated[Duration | None, says("Longest time of one attempt.")] = None
    idle_timeout: Annotated[Duration | None, says("Longest silence of one attempt.")] = None
    limits: Annotated[StageLimits | None, says("What one attempt may cost.")] = None
    may: Annotated[
        tuple[May, ...],
        says(
            "What the agent may say instead: `ask` a person, who answers with `pipeline answer RUN -m ...`; `decline` "
            "because what was asked for is there already, with the places."
        ),
    ] = ()
    env: Annotated[
        dict[str, Template],
        says("Environment variables; `{{ inputs.idea }}` and the like are filled in."),
    ] = {}


class Input(File, frozen=True, kw_only=True):
    """A value that a workflow is started with."""

    description: Annotated[str, says("One sentence for lists.")] = ""
    required: Annotated[bool, says("Whether it must be given.")] = False
    default: Annotated[str, says("What it is when it is not given.")] = ""


class Workflow(File, frozen=True, kw_only=True):
    """Stages as a graph, under a name that `trigger_workflow` takes."""

    description: Annotated[str, says("One sentence for lists.")] = ""
    inputs: Annotated[
        dict[str, Input],
        says(
            "Values it is started with (`--input NAME=VALUE`); `idea`, `feature` and `base_branch` are always there. "
            "The idea is required unless `idea: {required: false}` stands here."
        ),
    ] = {}
    stages: Annotated[dict[str, Stage], says("The stages, by name.")]


class Trigger(File, frozen=True, kw_only=True):
    """What a file below `.triggers/runs/<run_id>/` starts."""

    workflow: Annotated[Name, says("The workflow to start.")]


class Flow(File, frozen=True, kw_only=True):
    """The whole file."""

    version: Annotated[int, says("Version of the language: 1.")]
    extends: Annotated[
        str,
        says(
            "A shipped flow that this one changes: `builtin/idea_to_feature@1`. Mappings are merged by key, `~` takes "
            "a key away, everything else is replaced."
        ),
    ] = ""
    targets: Annotated[tuple[Target, ...], says("What is built and tested.")]
    workflows: Annotated[dict[str, Workflow], says("The workflows, by name.")]
    defaults: Annotated[Defaults, says("What stages take unless they say otherwise.")] = Defaults()
    limits: Annotated[Limits, says("Bounds of a run.")] = Limits()
    workspace: Annotated[
        Workspace, says("What a workspace needs besides the files of its tree.")
    ] = Workspace()
    agents: Annotated[dict[str, Role], says("Roles, by name.")] = {}
    locks: Annotated[dict[str, Lock], says("Single writers, by name.")] = {}
    records: Annotated[
        tuple[Glob, ...], says("Paths that are kept with the run and left out of the pull request.")
    ] = ()
    triggers: Annotated[
        dict[str, Trigger],
        says(
            "Which dropped file starts which workflow; checked here, watched for by a later version."
        ),
    ] = {}
