"""Check a whole flow before anything runs: names, kinds, graph, writers.

Each check adds to `Source.diagnostics`, so that a person sees all errors at once.
"""

from collections.abc import Collection, Iterable, Mapping

from pipeline.language import flow_references, flow_stages
from pipeline.language.compiler import glob_words
from pipeline.language.flow import CONTINUE, FAIL, Flow, Input, Stage
from pipeline.language.flow_names import BUILTIN_INPUTS, check_globs
from pipeline.language.flow_order import StageOrder, check_calls, check_cycles, check_writers
from pipeline.language.flow_source import Path, Source
from pipeline.language.runners import runner_of
from pipeline.language.target import Report, Target, WorkspaceNeeds

_SECRETS = (
    "GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN",
    "GITLAB_TOKEN", "BITBUCKET_TOKEN", "SSH_AUTH_SOCK", "SSH_ASKPASS", "GIT_ASKPASS",
)  # fmt: skip
"""Variables that carry what publishing needs: tokens of the forges, ssh's agent, git's prompts."""

_NOT_POSITIVE = ("a limit must be more than 0", "leave it out for no limit")


def check(
    flow: Flow, source: Source, *, prompts: Collection[str], backends: Collection[str]
) -> None:
    """Check the whole flow; `prompts` are the names of the existing templates.

    The errors are reported to the source.
    """
    _check_words(flow, source, prompts, backends)
    sound = check_calls(flow, source)
    if not flow.workflows and not source.is_incomplete:
        hint = "write one: main: {stages: {...}}"
        source.error("F111", ("workflows",), "there is no workflow", hint)
    for name, workflow in flow.workflows.items():
        path: Path = ("workflows", name)
        _check_inputs(source, path, workflow.inputs)
        if name in {FAIL, CONTINUE}:
            message = f"{name!r} is a value of `on_failure`, so a workflow needs another name"
            source.error("F114", path, message)
        if not workflow.stages and not source.is_incomplete:
            source.error("F111", path, f"the workflow {name} has no stage", missing="stages")
        flow_stages.check_all(flow, source, workflow.stages, (*path, "stages"))
        sound = check_cycles(source, workflow.stages, (*path, "stages")) and sound
    for name in flow.workflows:
        order = StageOrder(flow, name)
        if sound:
            flow_references.check_names(flow, source, order, name)
        check_writers(source, order)
    for name, trigger in flow.triggers.items():
        source.require_known(
            ("triggers", name, "workflow"), trigger.workflow, flow.workflows, "workflow"
        )


def _check_inputs(source: Source, path: Path, inputs: Mapping[str, Input]) -> None:
    for name, given in inputs.items():
        if given.required and given.default:
            message = f"the input {name} is required, so its default is never used"
            hint = "keep either `required` or `default`"
            source.error("F114", (*path, "inputs", name), message, hint)
        if name in BUILTIN_INPUTS and given.default:
            message = f"{name} comes from the command line; it cannot have a default here"
            source.error("F114", (*path, "inputs", name, "default"), message)


def _check_words(
    flow: Flow, source: Source, prompts: Collection[str], backends: Collection[str]
) -> None:
    stages = [one.stages for one in flow.workflows.values()]
    needs_target = not source.is_incomplete and (not stages or any(map(_needs_target, stages)))
    if needs_target and not flow.targets and not source.has_key_error(("targets",)):
        hint = (
            "write one: "
            "targets: [{name: app, source: [src/**], tests: [tests/**], test: python -m pytest -q}]"
        )
        message = "no target: the flow does not define what is tested, or how"
        source.error("F111", (), message, hint, missing="targets")
    source.require_known(("defaults", "backend"), flow.defaults.backend, backends, "back end")
    _check_pass_env(source, ("defaults", "pass_env"), flow.defaults.pass_env)
    for name, role in flow.agents.items():
        path: Path = ("agents", name)
        source.require_known((*path, "prompt"), role.prompt, prompts, "prompt file", "F206")
        if role.backend:
            source.require_known((*path, "backend"), role.backend, backends, "back end")
        _check_pass_env(source, (*path, "pass_env"), role.pass_env or ())
    _check_limits(flow, source)
    _check_workspace(flow.workspace, source)
    seen: set[str] = set()
    for index, target in enumerate(flow.targets):
        if target.name in seen:
            message = f"two targets are called {target.name!r}"
            source.error("F114", ("targets", index, "name"), message)
        seen.add(target.name)
        _check_target(flow, source, index, target)
        check_globs(source, ("targets", index, "source"), target.source, ())
        check_globs(source, ("targets", index, "tests"), target.tests, ())
    for name, lock in flow.locks.items():
        check_globs(source, ("locks", name, "paths"), lock.paths, glob_words(flow.targets))


def _needs_target(stages: Mapping[str, Stage]) -> bool:
    """Return whether a stage has an agent or gates, which work on what targets declare."""
    return any(
        stage.agent is not None
        or stage.gates
        or _needs_target(stage.parallel or stage.stages or {})
        for stage in stages.values()
    )


def _check_target(flow: Flow, source: Source, index: int, target: Target) -> None:
    path: Path = ("targets", index)
    if (
        target.test.command
        and target.test.report is not Report.EXIT_CODE
        and runner_of(target.test) is None
    ):
        message = f"it is unknown how to read the test results of {target.test.command!r}"
        hint = (
            "add the runner that it starts (runner: pytest), "
            "or let only its exit status count (report: exit-code)"
        )
        source.error("F216", (*path, "test"), message, hint)
    for number, word in enumerate(target.depends):
        source.require_known(
            (*path, "depends", number), word, [one.name for one in flow.targets], "target"
        )
    if not 0 <= target.proof.min <= 1:
        source.error("F114", (*path, "proof", "min"), "a share of faults is between 0 and 1")
    if target.folder.startswith("/") or ".." in target.folder.split("/"):
        message = "the folder must be inside this repository, as a path relative to its root"
        source.error("F114", (*path, "folder"), message)


def _check_limits(flow: Flow, source: Source) -> None:
    limits, each = flow.limits, flow.defaults.limits
    if limits.parallel < 1:
        source.error("F114", ("limits", "parallel"), "at least one stage must be able to run")
    for word, whole, one in (("usd", limits.usd, each.usd), ("tokens", limits.tokens, each.tokens)):
        if whole is not None and whole <= 0:
            source.error("F114", ("limits", word), *_NOT_POSITIVE)
        if whole is not None and one is not None and one > whole:
            message = (
                f"one attempt may cost {one:g} {word}, more than the whole run ({whole:g}), "
                "so none could start"
            )
            source.error("F114", ("defaults", "limits", word), message)


def _check_workspace(workspace: WorkspaceNeeds, source: Source) -> None:
    _check_pass_env(source, ("workspace", "pass_env"), workspace.pass_env)
    for word, paths in (
        ("inputs", workspace.inputs),
        ("link", workspace.link),
        ("sparse", workspace.sparse),
    ):
        check_globs(source, ("workspace", word), paths, ())
        for index, path in enumerate(paths):
            if word != "inputs" and ("*" in path or "?" in path):
                message = f"{path}: this must be a path, not a pattern"
                source.error("F211", ("workspace", word, index), message)
    for index, command in enumerate(workspace.setup):
        if not command.strip():
            source.error("F114", ("workspace", "setup", index), "the command is empty")
    if workspace.disk_bytes is not None and workspace.disk_bytes <= 0:
        source.error("F114", ("workspace", "disk"), *_NOT_POSITIVE)


def _check_pass_env(source: Source, path: Path, names: Iterable[str]) -> None:
    for index, name in enumerate(names):
        prefix = name.removesuffix("*")
        reaches = (
            secret.startswith(prefix) if name.endswith("*") else secret == name
            for secret in _SECRETS
        )
        if (
            any(reaches)
            or name.startswith("GIT_")
            or (name.endswith("*") and "GIT_".startswith(prefix))
        ):
            message = f"{name} would give an agent the credentials that publishing needs"
            hint = "remove it: agents have no push credentials, only the engine publishes"
            source.error("F213", (*path, index), message, hint)
