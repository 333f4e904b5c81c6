"""What a flow file may say, as types: one struct a mapping, one field a key.

These are the words of `agents/flow.yaml` before it is compiled (`language/plan`). The descriptions
are the reference: `docs/reference/flow.md` is made from them.
"""

from enum import StrEnum
from typing import Annotated, ClassVar, NewType

import msgspec

from pipeline.language.known import SETUP_ENV

Duration = NewType("Duration", float)
Count = NewType("Count", int)
Glob = NewType("Glob", str)
Name = NewType("Name", str)
Template = NewType("Template", str)
Expression = NewType("Expression", str)

FAIL, CONTINUE = Name("fail"), Name("continue")
"""What `on_failure` and `on_exhausted` can say besides the name of a workflow."""


def _says(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class Scope(StrEnum):
    """How far a lock reaches."""

    RUN = "run"
    REPO = "repo"


class Report(StrEnum):
    """How much a test command tells of its result."""

    JUNIT = "junit"
    EXIT_CODE = "exit-code"


class Runner(StrEnum):
    """The programs that run tests, as far as their reports can be read test by test."""

    PYTEST = "pytest"
    VITEST = "vitest"
    JEST = "jest"
    NODE = "node"
    GO = "go"
    CARGO = "cargo"
    JUNIT = "junit"


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


class GateName(StrEnum):
    """The checks that the engine makes itself, on an exact tree."""

    RED = "red"
    GREEN = "green"
    PROOF = "proof"
    CHECKS = "checks"
    UNTAMPERED = "untampered"
    FINDINGS = "findings"


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


class _File(msgspec.Struct, frozen=True, omit_defaults=True):
    """A mapping of the flow file; `shorthand` names the field that a bare value stands for."""

    shorthand: ClassVar[str] = ""


class TestCommand(_File, frozen=True, kw_only=True):
    """How the tests of a target are run."""

    shorthand: ClassVar[str] = "command"
    command: Annotated[str, _says("Command line; run in a fresh checkout, never in an agent's folder.")]
    report: Annotated[
        Report,
        _says("`junit`: test by test; `exit-code`: only whether all passed, so that `red` and `proof` say less."),
    ] = Report.JUNIT
    runner: Annotated[
        Runner | None,
        _says(
            "Which test runner the command starts, where its words do not say so. With `junit` the command writes a "
            "JUnit file itself: `{report}` stands for its name."
        ),
    ] = None
    timeout: Annotated[Duration, _says("Longest time one test run may take.")] = Duration(600.0)


class Proof(_File, frozen=True, kw_only=True):
    """How hard the gate `proof` tries: single faults are put into the changed functions, one at a time."""

    min: Annotated[float, _says("Which part of them the tests must notice, from 0 to 1; 0 only reports.")] = 0.0
    faults: Annotated[int, _says("Most faults that are tried; 0 for none.")] = 12
    timeout: Annotated[Duration, _says("Longest time for all of them together.")] = Duration(60.0)


class Target(_File, frozen=True, kw_only=True):
    """A part of the repository that is built and tested on its own."""

    name: Annotated[Name, _says("What to call it.")]
    source: Annotated[tuple[Glob, ...], _says("Paths of the source; `{{ source }}` elsewhere.")]
    tests: Annotated[tuple[Glob, ...], _says("Paths of the tests, never part of the source; `{{ tests }}` elsewhere.")]
    test: Annotated[TestCommand, _says("How to run the tests.")]
    exclude: Annotated[tuple[Glob, ...], _says("Paths that are neither, although the patterns match them.")] = ()
    folder: Annotated[str, _says("Folder that its commands are run in; the repository's root if left out.")] = ""
    depends: Annotated[
        tuple[Name, ...], _says("Targets it builds on: its tests are run, too, when one of those has changed.")
    ] = ()
    checks: Annotated[
        tuple[str, ...], _says("Lint, types, style: shell commands that must say nothing new about the change.")
    ] = ()
    format: Annotated[
        tuple[str, ...],
        _says(
            "Shell commands that bring a stage's changed files into the repository's style before its gates; `{files}` "
            "stands for those files."
        ),
    ] = ()
    proof: Annotated[Proof, _says("How hard the gate `proof` tries.")] = Proof()


class Retry(_File, frozen=True, kw_only=True):
    """When an attempt that failed is made again. Attempts lost to a crash have a budget of their own."""

    max: Annotated[int, _says("How many more attempts after the first.")] = 1
    on: Annotated[tuple[FailureKind, ...], _says("Which kinds of failure are tried again.")] = (
        FailureKind.TRANSIENT,
        FailureKind.TIMEOUT,
        FailureKind.PROTOCOL,
    )
    lost: Annotated[int, _says("How many attempts may be lost to crashes.")] = 3
    quota: Annotated[int, _says("How often to wait for a quota to be given back; then the run parks.")] = 12


class StageLimits(_File, frozen=True, kw_only=True):
    """What one attempt may cost: reserved before it starts, settled when it is over."""

    usd: Annotated[float | None, _says("US dollars.")] = None
    tokens: Annotated[Count | None, _says("Tokens in and out: `200k`, `5M`.")] = None


class Defaults(_File, frozen=True, kw_only=True):
    """What every stage takes unless it says otherwise."""

    backend: Annotated[Name, _says("Which back end plays the agents.")] = Name("command")
    command: Annotated[tuple[str, ...], _says("The agent's command line (back end `command`).")] = ()
    model: Annotated[str, _says("Model name, handed to the back end.")] = ""
    pass_env: Annotated[
        tuple[str, ...], _says("Environment variables that agents may see, by name; `*` at the end.")
    ] = ()
    timeout: Annotated[Duration, _says("Longest time of one attempt, in awake time.")] = Duration(1800.0)
    idle_timeout: Annotated[Duration, _says("Longest silence of one attempt.")] = Duration(1800.0)
    retry: Annotated[Retry, _says("When a failed attempt is made again.")] = Retry()
    limits: Annotated[StageLimits, _says("What one attempt of an agent may cost.")] = StageLimits()


class Limits(_File, frozen=True, kw_only=True):
    """Bounds of a whole run. When one is reached the run parks, resumable; nothing is lost."""

    parallel: Annotated[int, _says("Stages at once; `AGENT_PARALLEL_MAX` goes before it.")] = 4
    usd: Annotated[float | None, _says("US dollars of all attempts together.")] = None
    tokens: Annotated[Count | None, _says("Tokens in and out of all attempts together: `200k`, `5M`.")] = None
    wall: Annotated[Duration | None, _says("Awake time that is worked on the run.")] = None


class Role(_File, frozen=True, kw_only=True):
    """Who plays an agent role, and what it is told."""

    prompt: Annotated[str, _says("Template in `agent_prompts/`.")]
    backend: Annotated[Name | None, _says("Back end, instead of the default.")] = None
    command: Annotated[tuple[str, ...] | None, _says("Command line, instead of the default.")] = None
    model: Annotated[str | None, _says("Model, instead of the default.")] = None
    pass_env: Annotated[tuple[str, ...] | None, _says("Variables it may see, instead of the default.")] = None


class Lock(_File, frozen=True, kw_only=True):
    """A single writer: whoever holds it may write its paths, and nobody else."""

    paths: Annotated[tuple[Glob, ...], _says("What the holder may write.")] = ()
    scope: Annotated[Scope, _says("One holder in this run, or in the whole repository.")] = Scope.RUN


class Output(_File, frozen=True, kw_only=True):
    """A file that a stage has to deliver into its output folder."""

    shorthand: ClassVar[str] = "file"
    file: Annotated[str, _says("File name in `$PIPELINE_OUTPUT_DIR`.")]
    schema: Annotated[Schema | None, _says("Shape that the file must have (JSON), by name.")] = None
    fields: Annotated[
        dict[str, tuple[str, ...]],
        _says(
            "Fields that its JSON object must have: each `text`, `number`, `boolean`, `list`, `object`, "
            "or a list of the words it may hold."
        ),
    ] = {}


class Loop(_File, frozen=True, kw_only=True):
    """Rounds over the stages below, until a gate's word ends them."""

    until: Annotated[str, _says("`STAGE.passed`: a stage of this loop whose gates decide.")]
    max: Annotated[int, _says("Most rounds.")] = 3
    no_progress: Annotated[int, _says("So many rounds with the same failure or tree end it early.")] = 2
    on_exhausted: Annotated[Name, _says("`fail`, or a workflow that then looks for the cause.")] = FAIL


class Foreach(_File, frozen=True, kw_only=True):
    """The stages below once for each item of a list that an earlier stage put out."""

    shorthand: ClassVar[str] = "over"
    over: Annotated[Expression, _says("`STAGE.OUTPUT.FIELD`: the list.")]
    key: Annotated[str, _says("Field of an item that names it; without it items are counted from 1.")] = ""
    max: Annotated[int, _says("Most items; a longer list fails the stage, it is never cut.")] = 20


class Approval(_File, frozen=True, kw_only=True):
    """A person looks and answers: `pipeline answer RUN approve|revise|stop`. Bound to the tree that is shown."""

    shorthand: ClassVar[str] = "ask"
    ask: Annotated[Template, _says("The question.")]
    show: Annotated[tuple[str, ...], _says("`STAGE.OUTPUT` files to show with it, and `diff`.")] = ()
    timeout: Annotated[Duration | None, _says("Longest wait, by the calendar; then it counts as `stop`.")] = None
    revisions: Annotated[int, _says("How often `revise` may send back the stages that it needs.")] = 3


class Publish(_File, frozen=True, kw_only=True):
    """Branch, commits, push and pull request."""

    draft: Annotated[bool, _says("Open the pull request as a draft.")] = True


class Stage(_File, frozen=True, kw_only=True):
    """One step: exactly one of the first eight keys says which kind."""

    agent: Annotated[Name | None, _says("An agent of this role works.")] = None
    run: Annotated[
        str | None, _says("A shell command, run in the workspace. Values come by `env`, never by `{{ }}`.")
    ] = None
    parallel: Annotated["dict[str, Stage] | None", _says("Stages that may run at once.")] = None
    loop: Annotated[Loop | None, _says("Repeat `stages`.")] = None
    foreach: Annotated[Foreach | None, _says("Do `stages` for each item of a list.")] = None
    workflow: Annotated[Name | None, _says("Another workflow, as a part of this run.")] = None
    approval: Annotated[Approval | None, _says("Wait for a person's answer.")] = None
    publish: Annotated[Publish | None, _says("Publish the run's tree.")] = None
    stages: Annotated["dict[str, Stage] | None", _says("The stages of a loop or foreach.")] = None
    inputs: Annotated[dict[str, Template], _says("Values for the inputs of the `workflow`.")] = {}
    mode: Annotated[str, _says("Handed to the prompt as `mode`.")] = ""
    needs: Annotated[tuple[Name, ...], _says("Stages beside this one that must be over first.")] = ()
    when: Annotated[Expression, _says("Only if this holds; else it is skipped, and what needs it goes on.")] = (
        Expression("")
    )
    lock: Annotated[tuple[Name, ...], _says("Locks it holds while it runs; it may write their paths.")] = ()
    writes: Annotated[tuple[Glob, ...], _says("Paths it may write besides those of its locks.")] = ()
    reads: Annotated[
        tuple[Glob, ...] | None,
        _says(
            "Paths that are put into its workspace, besides those it may write; an empty list for none (default: all)."
        ),
    ] = None
    outputs: Annotated[dict[str, Output], _says("Files it must deliver.")] = {}
    gates: Annotated[tuple[GateName, ...], _says("What the engine checks when it is done.")] = ()
    retry: Annotated[Retry | None, _says("When a failed attempt is made again.")] = None
    on_failure: Annotated[
        Name, _says("When it failed for good: `fail` the run, `continue`, or a workflow that looks for the cause.")
    ] = FAIL
    timeout: Annotated[Duration | None, _says("Longest time of one attempt.")] = None
    idle_timeout: Annotated[Duration | None, _says("Longest silence of one attempt.")] = None
    limits: Annotated[StageLimits | None, _says("What one attempt may cost.")] = None
    env: Annotated[
        dict[str, Template], _says("Environment variables; `{{ inputs.idea }}` and the like are filled in.")
    ] = {}


class Input(_File, frozen=True, kw_only=True):
    """A value that a workflow is started with."""

    description: Annotated[str, _says("One sentence for lists.")] = ""
    required: Annotated[bool, _says("Whether it must be given.")] = False
    default: Annotated[str, _says("What it is when it is not given.")] = ""


class Workflow(_File, frozen=True, kw_only=True):
    """Stages as a graph, under a name that `trigger_workflow` takes."""

    description: Annotated[str, _says("One sentence for lists.")] = ""
    inputs: Annotated[
        dict[str, Input],
        _says(
            "Values it is started with (`--input NAME=VALUE`); `idea`, `feature` and `base_branch` are always there. "
            "The idea is required unless `idea: {required: false}` stands here."
        ),
    ] = {}
    stages: Annotated[dict[str, Stage], _says("The stages, by name.")]


class Clone(StrEnum):
    """How what set-up made is copied into workspaces."""

    AUTO = "auto"
    REFLINK = "reflink"
    COPY = "copy"


class Workspace(_File, frozen=True, kw_only=True):
    """What a workspace needs besides the files of its tree, before anybody can work in it."""

    setup: Annotated[
        tuple[str, ...],
        _says("Shell commands that install what is needed, run once for each state of the files they depend on."),
    ] = ()
    inputs: Annotated[
        tuple[Glob, ...], _says("Files that set-up depends on, besides lock files and manifests known by name.")
    ] = ()
    link: Annotated[
        tuple[Glob, ...], _says("Git-ignored files and folders of your checkout that workspaces get a copy of.")
    ] = ()
    sparse: Annotated[
        tuple[Glob, ...], _says("Folders that are checked out, with the files beside and above them; all by default.")
    ] = ()
    clone: Annotated[
        Clone, _says("`reflink` shares blocks until they are written, `copy` does not; `auto` takes what is possible.")
    ] = Clone.AUTO
    disk: Annotated[
        Count | None, _says("Bytes that all workspaces and set-ups of the repository may take: `500M`, `20G`.")
    ] = Count(20_000_000_000)
    timeout: Annotated[Duration, _says("Longest time one set-up command may take.")] = Duration(900.0)
    pass_env: Annotated[
        tuple[str, ...], _says("Environment variables that set-up commands may see, by name; `*` at the end.")
    ] = SETUP_ENV


class Trigger(_File, frozen=True, kw_only=True):
    """What a file below `.triggers/runs/<run_id>/` starts."""

    workflow: Annotated[Name, _says("The workflow to start.")]


class Flow(_File, frozen=True, kw_only=True):
    """The whole file."""

    version: Annotated[int, _says("Version of the language: 1.")]
    extends: Annotated[
        str,
        _says(
            "A shipped flow that this one changes: `builtin/idea_to_feature@1`. Mappings are merged by key, `~` takes "
            "a key away, everything else is replaced."
        ),
    ] = ""
    targets: Annotated[tuple[Target, ...], _says("What is built and tested.")]
    workflows: Annotated[dict[str, Workflow], _says("The workflows, by name.")]
    defaults: Annotated[Defaults, _says("What stages take unless they say otherwise.")] = Defaults()
    limits: Annotated[Limits, _says("Bounds of a run.")] = Limits()
    workspace: Annotated[Workspace, _says("What a workspace needs besides the files of its tree.")] = Workspace()
    agents: Annotated[dict[str, Role], _says("Roles, by name.")] = {}
    locks: Annotated[dict[str, Lock], _says("Single writers, by name.")] = {}
    records: Annotated[
        tuple[Glob, ...], _says("Paths that are kept with the run and left out of the pull request.")
    ] = ()
    triggers: Annotated[
        dict[str, Trigger],
        _says("Which dropped file starts which workflow; checked here, watched for by a later version."),
    ] = {}
