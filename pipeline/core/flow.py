"""What a flow file may say, as types: one struct a mapping, one field a key.

These are the words of `agents/flow.yaml` before it is compiled (`core/plan`). The descriptions
are the reference: `docs/reference/flow.md` is made from them.
"""

from enum import StrEnum
from typing import Annotated, ClassVar, NewType

import msgspec

Duration = NewType("Duration", float)
Glob = NewType("Glob", str)
Name = NewType("Name", str)


def _says(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class Scope(StrEnum):
    """How far a lock reaches."""

    RUN = "run"
    REPO = "repo"


class Report(StrEnum):
    """How a test command tells its result."""

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


class GateName(StrEnum):
    """The checks that the engine makes itself, on an exact tree."""

    RED = "red"
    GREEN = "green"
    PROOF = "proof"
    UNTAMPERED = "untampered"
    FINDINGS = "findings"


class Schema(StrEnum):
    """The shapes of output files that the engine knows."""

    WORK_PLAN = "work_plan"
    FINDINGS = "findings"
    DIAGNOSIS = "diagnosis"


class _File(msgspec.Struct, frozen=True, omit_defaults=True):
    """A mapping of the flow file; `shorthand` names the field that a bare value stands for."""

    shorthand: ClassVar[str] = ""


class TestCommand(_File, frozen=True, kw_only=True):
    """How the tests of a target are run."""

    shorthand: ClassVar[str] = "command"
    command: Annotated[str, _says("Command line; run in a fresh checkout, never in an agent's folder.")]
    report: Annotated[Report, _says("How the result is read.")] = Report.JUNIT
    timeout: Annotated[Duration, _says("Longest time one test run may take.")] = Duration(600.0)


class Target(_File, frozen=True, kw_only=True):
    """A part of the repository that is built and tested on its own."""

    name: Annotated[Name, _says("What to call it.")]
    source: Annotated[tuple[Glob, ...], _says("Paths of the source; `{{ source }}` elsewhere.")]
    tests: Annotated[tuple[Glob, ...], _says("Paths of the tests; `{{ tests }}` elsewhere.")]
    test: Annotated[TestCommand, _says("How to run the tests.")]


class Retry(_File, frozen=True, kw_only=True):
    """When an attempt that failed is made again. Attempts lost to a crash have a budget of their own."""

    max: Annotated[int, _says("How many more attempts after the first.")] = 1
    on: Annotated[tuple[FailureKind, ...], _says("Which kinds of failure are tried again.")] = (
        FailureKind.TRANSIENT,
        FailureKind.TIMEOUT,
        FailureKind.PROTOCOL,
    )
    lost: Annotated[int, _says("How many attempts may be lost to crashes.")] = 3


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


class Limits(_File, frozen=True, kw_only=True):
    """Bounds of a whole run."""

    parallel: Annotated[int, _says("Stages at once; `AGENT_PARALLEL_MAX` goes before it.")] = 4


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
    schema: Annotated[Schema | None, _says("Shape that the file must have (JSON).")] = None


class Loop(_File, frozen=True, kw_only=True):
    """Rounds over the stages below, until a gate's word ends them."""

    until: Annotated[str, _says("`STAGE.passed`: a stage of this loop whose gates decide.")]
    max: Annotated[int, _says("Most rounds.")] = 3
    no_progress: Annotated[int, _says("So many rounds with the same failure or tree end it early.")] = 2
    on_exhausted: Annotated[Name, _says("`fail`, or a workflow that then looks for the cause.")] = Name("fail")


class Publish(_File, frozen=True, kw_only=True):
    """Branch, commits, push and pull request."""

    draft: Annotated[bool, _says("Open the pull request as a draft.")] = True


class Stage(_File, frozen=True, kw_only=True):
    """One step: exactly one of `agent`, `run`, `parallel`, `loop` or `publish` says which kind."""

    agent: Annotated[Name | None, _says("An agent of this role works.")] = None
    mode: Annotated[str, _says("Handed to the prompt as `mode`.")] = ""
    run: Annotated[str | None, _says("A shell command, run in the workspace.")] = None
    parallel: Annotated["dict[str, Stage] | None", _says("Stages that may run at once.")] = None
    loop: Annotated[Loop | None, _says("Repeat `stages`.")] = None
    stages: Annotated["dict[str, Stage] | None", _says("The stages of a loop.")] = None
    publish: Annotated[Publish | None, _says("Publish the run's tree.")] = None
    needs: Annotated[tuple[Name, ...], _says("Stages beside this one that must be done first.")] = ()
    lock: Annotated[tuple[Name, ...], _says("Locks it holds while it runs.")] = ()
    writes: Annotated[tuple[Glob, ...], _says("Paths it may write besides those of its locks.")] = ()
    outputs: Annotated[dict[str, Output], _says("Files it must deliver.")] = {}
    gates: Annotated[tuple[GateName, ...], _says("What the engine checks when it is done.")] = ()
    retry: Annotated[Retry | None, _says("When a failed attempt is made again.")] = None
    timeout: Annotated[Duration | None, _says("Longest time of one attempt.")] = None
    idle_timeout: Annotated[Duration | None, _says("Longest silence of one attempt.")] = None
    env: Annotated[dict[str, str], _says("Environment variables, as plain text.")] = {}


class Workflow(_File, frozen=True, kw_only=True):
    """Stages as a graph, under a name that `trigger_workflow` takes."""

    description: Annotated[str, _says("One sentence for lists.")] = ""
    stages: Annotated[dict[str, Stage], _says("The stages, by name.")]


class Trigger(_File, frozen=True, kw_only=True):
    """What a file below `.triggers/runs/<run_id>/` starts."""

    workflow: Annotated[Name, _says("The workflow to start.")]


class Flow(_File, frozen=True, kw_only=True):
    """The whole file."""

    version: Annotated[int, _says("Version of the language: 1.")]
    targets: Annotated[tuple[Target, ...], _says("What is built and tested.")]
    workflows: Annotated[dict[str, Workflow], _says("The workflows, by name.")]
    defaults: Annotated[Defaults, _says("What stages take unless they say otherwise.")] = Defaults()
    limits: Annotated[Limits, _says("Bounds of a run.")] = Limits()
    agents: Annotated[dict[str, Role], _says("Roles, by name.")] = {}
    locks: Annotated[dict[str, Lock], _says("Single writers, by name.")] = {}
    records: Annotated[
        tuple[Glob, ...], _says("Paths that are kept with the run and left out of the pull request.")
    ] = ()
    triggers: Annotated[
        dict[str, Trigger],
        _says("Which dropped file starts which workflow; checked here, watched for by a later version."),
    ] = {}
