"""What must hold between the parts of a flow before anything runs: names, kinds, graph, writers.

Each check adds to `Source.complaints`, so that a person sees all of them at once.
"""

from collections.abc import Collection, Iterable, Mapping

from pipeline.language import flow_stages
from pipeline.language.compiler import stand_ins
from pipeline.language.flow import CONTINUE, FAIL, Flow, Input, Workflow
from pipeline.language.flow_names import GIVEN, check_globs
from pipeline.language.flow_order import Order, check_calls, check_cycles, check_writers
from pipeline.language.flow_source import Path, Source
from pipeline.language.runners import runner_of
from pipeline.language.target import Report, Target, Workspace

_SECRETS = (
    "GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN", "GITLAB_TOKEN", "BITBUCKET_TOKEN",
    "SSH_AUTH_SOCK", "SSH_ASKPASS", "GIT_ASKPASS",
)  # fmt: skip


def check(
    flow: Flow, source: Source, *, prompts: Collection[str], backends: Collection[str]
) -> None:
    """Check the whole flow; `prompts` are the template names there are.

    The complaints are the source's.
    """
    _check_words(flow, source, prompts, backends)
    sound = check_calls(flow, source)
    if not flow.workflows and not source.is_torn:
        source.complain(
            "F111", ("workflows",), "there is no workflow", "write one: main: {stages: {...}}"
        )
    for name, workflow in flow.workflows.items():
        path: Path = ("workflows", name)
        _check_inputs(source, path, workflow.inputs)
        if name in {FAIL, CONTINUE}:
            source.complain(
                "F114",
                path,
                f"{name!r} says what happens after a failure; a workflow needs another name",
            )
        if not workflow.stages and not source.is_torn:
            source.complain("F111", path, f"the workflow {name} has no stage", missing="stages")
        flow_stages.check_all(flow, source, workflow.stages, (*path, "stages"))
        sound = check_cycles(source, workflow.stages, (*path, "stages")) and sound
    if sound:
        for name, workflow in flow.workflows.items():
            _check_order(flow, source, name, workflow)
    for name, trigger in flow.triggers.items():
        source.require_known(
            ("triggers", name, "workflow"), trigger.workflow, flow.workflows, "workflow"
        )


def _check_order(flow: Flow, source: Source, name: str, workflow: Workflow) -> None:
    order = Order(flow, name)
    flow_stages.check_names(flow, source, order, name)
    if not flow_stages.has_twins(workflow.stages):
        check_writers(source, order)


def _check_inputs(source: Source, path: Path, inputs: Mapping[str, Input]) -> None:
    for name, given in inputs.items():
        if given.required and given.default:
            message = f"the input {name} is required, so its default is never used"
            source.complain(
                "F114", (*path, "inputs", name), message, "keep `required` or `default`"
            )
        if name in GIVEN and given.default:
            message = f"{name} comes from the command line; it has no default here"
            source.complain("F114", (*path, "inputs", name, "default"), message)


def _check_words(
    flow: Flow, source: Source, prompts: Collection[str], backends: Collection[str]
) -> None:
    if not flow.targets and not source.has_broken_key(("targets",)):
        mend = "write one: - {name: app, source: [src/**], tests: [tests/**], test: python -m pytest -q}"
        source.complain(
            "F111", ("targets",), "no target: nothing says what is tested, or how", mend
        )
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
            source.complain(
                "F114", ("targets", index, "name"), f"two targets are called {target.name!r}"
            )
        seen.add(target.name)
        _check_target(flow, source, index, target)
        check_globs(source, ("targets", index, "source"), target.source, ())
        check_globs(source, ("targets", index, "tests"), target.tests, ())
    for name, lock in flow.locks.items():
        check_globs(source, ("locks", name, "paths"), lock.paths, stand_ins(flow.targets))


def _check_target(flow: Flow, source: Source, index: int, target: Target) -> None:
    path: Path = ("targets", index)
    if (
        target.test.command
        and target.test.report is not Report.EXIT_CODE
        and runner_of(target.test) is None
    ):
        message = f"nothing says how the result of {target.test.command!r} is read"
        mend = "say which runner it starts (runner: pytest), or that only its exit status counts (report: exit-code)"
        source.complain("F216", (*path, "test"), message, mend)
    for number, word in enumerate(target.depends):
        source.require_known(
            (*path, "depends", number), word, [one.name for one in flow.targets], "target"
        )
    if not 0 <= target.proof.min <= 1:
        source.complain("F114", (*path, "proof", "min"), "a part of all faults is between 0 and 1")
    if target.folder.startswith("/") or ".." in target.folder.split("/"):
        source.complain(
            "F114", (*path, "folder"), "a folder of this repository, as seen from its root"
        )


def _check_limits(flow: Flow, source: Source) -> None:
    limits, each = flow.limits, flow.defaults.limits
    if limits.parallel < 1:
        source.complain("F114", ("limits", "parallel"), "at least one stage must be able to run")
    for word, whole, one in (("usd", limits.usd, each.usd), ("tokens", limits.tokens, each.tokens)):
        if whole is not None and whole <= 0:
            source.complain(
                "F114", ("limits", word), "a limit is more than 0", "leave it out for no limit"
            )
        if whole is not None and one is not None and one > whole:
            message = f"one attempt may cost {one:g} {word}, more than the whole run ({whole:g}): none could start"
            source.complain("F114", ("defaults", "limits", word), message)


def _check_workspace(workspace: Workspace, source: Source) -> None:
    _check_pass_env(source, ("workspace", "pass_env"), workspace.pass_env)
    for word, paths in (
        ("inputs", workspace.inputs),
        ("link", workspace.link),
        ("sparse", workspace.sparse),
    ):
        check_globs(source, ("workspace", word), paths, ())
        for index, path in enumerate(paths):
            if word != "inputs" and ("*" in path or "?" in path):
                source.complain(
                    "F211",
                    ("workspace", word, index),
                    f"{path}: a path itself is wanted, not a pattern",
                )
    for index, command in enumerate(workspace.setup):
        if not command.strip():
            source.complain(
                "F114", ("workspace", "setup", index), "an empty command sets nothing up"
            )
    if workspace.disk is not None and workspace.disk <= 0:
        source.complain(
            "F114", ("workspace", "disk"), "a limit is more than 0", "leave it out for no limit"
        )


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
            source.complain(
                "F213",
                (*path, index),
                f"{name} would hand an agent what publishing needs",
                "agents hold no push credential: remove it; only the engine publishes",
            )
