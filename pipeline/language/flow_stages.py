"""What must hold for each stage of a flow: its kind, what that kind can have, the names it uses."""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache

from pipeline.ids import branch_complaint, plain_name
from pipeline.language import templates
from pipeline.language.compiler import KIND_KEYS, ids_of, inner_of, kind_of, stand_ins, until_stage
from pipeline.language.diagnostics import did_you_mean
from pipeline.language.flow import CONTINUE, FAIL, FieldType, Flow, GateName, Schema, Stage
from pipeline.language.flow_names import (
    GIVEN,
    STATES,
    Scope,
    check_condition,
    check_globs,
    check_list,
    check_template,
)
from pipeline.language.flow_order import Order
from pipeline.language.flow_source import Path, Source
from pipeline.language.plan import Kind

_RESERVED = {
    "inputs",
    "item",
    "run",
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "for",
    "lambda",
    "true",
    "false",
}
_TESTED = {GateName.RED, GateName.GREEN, GateName.PROOF}
_TYPES = [kind.value for kind in FieldType]
_EVERY = {"needs", "when"}
_WORK = _EVERY | {
    "lock", "writes", "reads", "outputs", "gates", "retry", "on_failure", "timeout", "idle_timeout", "env",
}  # fmt: skip
ALLOWED: Mapping[Kind, set[str]] = {
    Kind.AGENT: _WORK | {"mode", "limits", "may"},
    Kind.RUN: _WORK,
    Kind.PARALLEL: _EVERY | {"gates", "retry"},
    Kind.LOOP: _EVERY | {"stages"},
    Kind.FOREACH: _EVERY | {"stages"},
    Kind.WORKFLOW: _EVERY | {"inputs"},
    Kind.APPROVAL: _EVERY,
    Kind.PUBLISH: _EVERY | {"lock", "retry"},
}
"""What a stage of each kind can have besides the key of its kind."""


def check_all(flow: Flow, source: Source, stages: Mapping[str, Stage], path: Path) -> None:
    """Check the stages of one workflow, those inside groups included."""
    seen: dict[str, Path] = {}
    _check_level(flow, source, stages, path, seen)


def has_twins(stages: Mapping[str, Stage]) -> bool:
    """Tell whether two stages of a workflow have one name.

    Then nothing can be said about their order.
    """
    return max(Counter(name for name, _, _ in _walk(stages, ())).values(), default=0) > 1


def _check_level(
    flow: Flow, source: Source, stages: Mapping[str, Stage], path: Path, seen: dict[str, Path]
) -> None:
    for name, stage in stages.items():
        here: Path = (*path, name)
        twin = seen.setdefault(plain_name(name), here)
        if twin is not here:
            mend = "stage names are unique in a workflow, also inside groups and loops; - and _ are alike"
            line = source.mark(twin).line
            source.complain(
                "F212", here, f"a stage {twin[-1]!r} stands on line {line} already", mend
            )
        elif name in _RESERVED:
            source.complain(
                "F114", here, f"{name!r} has a meaning in conditions; a stage needs another name"
            )
        if _has_one_kind(source, stage, here):
            _check_stage(flow, source, stage, here)
        for index, need in enumerate(stage.needs):
            if need not in stages:
                others = [other for other in stages if other != name]
                source.require_known((*here, "needs", index), need, others, "stage beside this one")
        if inner := inner_of(stage):
            _check_level(flow, source, inner[1], (*here, inner[0]), seen)


def _has_one_kind(source: Source, stage: Stage, here: Path) -> bool:
    kinds = [key for key in KIND_KEYS if getattr(stage, key) is not None]
    if len(kinds) == 1:
        return True
    if kinds or not source.has_broken_key(here):
        found = "has none" if not kinds else "has " + " and ".join(kinds)
        mend = "take one away with `KEY: ~`" if "extends" in source.texts and kinds else ""
        source.complain(
            "F209", here, f"a stage is one of {', '.join(KIND_KEYS)}; {here[-1]} {found}", mend
        )
    return False


def _check_stage(flow: Flow, source: Source, stage: Stage, here: Path) -> None:
    kind = kind_of(stage)
    _check_keys(source, stage, kind, here)
    if stage.agent is not None:
        source.require_known((*here, "agent"), stage.agent, flow.agents, "agent role")
    for index, lock in enumerate(stage.lock):
        source.require_known((*here, "lock", index), lock, flow.locks, "lock")
    _check_follow_up(flow, source, stage, here)
    _check_loop(source, stage, here)
    _check_call(flow, source, stage, here)
    _check_group(source, stage, kind, here)
    _check_command(source, stage, here)
    _check_paths(flow, source, stage, here)
    _check_gates(source, stage, kind, here)
    _check_outputs(source, stage, here)
    _check_publish(source, stage, here)


def _check_publish(source: Source, stage: Stage, here: Path) -> None:
    if stage.publish is None:
        return
    path: Path = (*here, "publish")
    if found := branch_complaint(stage.publish.branch):
        mend = "for example: branch: 'feature/{feature}-{run_id}'"
        source.complain(
            "F114", (*path, "branch"), f"{stage.publish.branch!r} cannot be a branch: {found}", mend
        )
    for name, value in stage.publish.trailers.items():
        if not value.strip() or "\n" in value:
            source.complain(
                "F114", (*path, "trailers", name), f"the trailer {name} needs a value of one line"
            )


def _check_paths(flow: Flow, source: Source, stage: Stage, here: Path) -> None:
    known = stand_ins(flow.targets)
    check_globs(source, (*here, "writes"), stage.writes, known)
    check_globs(source, (*here, "reads"), stage.reads or (), known)
    for name in stage.env:
        if name.startswith("PIPELINE_"):
            message = f"{name} is the engine's own; a stage that is told otherwise would be lost"
            source.complain_key("F114", (*here, "env", name), message, "give it another name")


def _check_gates(source: Source, stage: Stage, kind: Kind, here: Path) -> None:
    path: Path = (*here, "gates")
    if _TESTED & set(stage.gates) and kind is Kind.PARALLEL:
        source.complain("F207", path, "test gates belong to an agent or run stage")
    givers = (stage, *(stage.parallel or {}).values())
    if GateName.FINDINGS in stage.gates and not any(map(_gives_findings, givers)):
        mend = "declare them: outputs: {findings: {file: findings.json, schema: findings}}"
        source.complain(
            "F207",
            path,
            f"nothing here delivers findings, so the gate of {here[-1]} has none",
            mend,
        )


def _gives_findings(stage: Stage) -> bool:
    return any(output.schema is Schema.FINDINGS for output in stage.outputs.values())


def _check_follow_up(flow: Flow, source: Source, stage: Stage, here: Path) -> None:
    """Hold the workflows that look for causes.

    They are there, and need nothing that nobody gives them.
    """
    source.require_known(
        (*here, "on_failure"), stage.on_failure, [*flow.workflows, FAIL, CONTINUE], "workflow"
    )
    path, word = (*here, "on_failure"), stage.on_failure
    if stage.loop is not None:
        path, word = (*here, "loop", "on_exhausted"), stage.loop.on_exhausted
        source.require_known(path, word, [*flow.workflows, FAIL], "workflow")
    wanted = flow.workflows[word].inputs if word in flow.workflows else {}
    for name, given in wanted.items():
        if given.required and name not in GIVEN:
            message = f"{word} is started by itself here, and its input {name!r} is given by nobody"
            source.complain("F111", path, message, f"give {name} a default")


def _check_group(source: Source, stage: Stage, kind: Kind, here: Path) -> None:
    if kind in {Kind.LOOP, Kind.FOREACH} and not stage.stages:
        mend = "put its stages below `stages:`"
        source.complain("F111", here, f"a {kind.value} needs `stages`", mend, missing="stages")
    if stage.parallel is not None and not stage.parallel:
        source.complain("F111", here, f"the group {here[-1]} has no stage", missing="parallel")
    least: list[tuple[Path, int, int]] = []
    if stage.foreach is not None:
        least += [(("foreach", "max"), stage.foreach.max, 1)]
    if stage.loop is not None:
        least += [
            (("loop", "max"), stage.loop.max, 1),
            (("loop", "no_progress"), stage.loop.no_progress, 1),
        ]
    if stage.approval is not None:
        least += [(("approval", "revisions"), stage.approval.revisions, 0)]
    if stage.retry is not None:
        least += [
            (("retry", word), getattr(stage.retry, word), 0) for word in ("max", "lost", "quota")
        ]
    for path, value, bound in least:
        if value < bound:
            source.complain("F114", (*here, *path), f"{path[-1]} is at least {bound}")


def _check_keys(source: Source, stage: Stage, kind: Kind, here: Path) -> None:
    """Complain about keys that a stage of this kind cannot have."""
    own = next(key for key in KIND_KEYS if getattr(stage, key) is not None)
    for key, default in _stage_keys().items():
        if key in ALLOWED[kind] or getattr(stage, key) == default:
            continue
        if key == "gates" and kind is Kind.LOOP:
            source.complain_key(
                "F207", (*here, key), "a loop has no gates; the stage that its `until` names has"
            )
        elif key == "stages":
            mend = "add loop: {max: 3, until: STAGE.passed}, or foreach: STAGE.OUTPUT.FIELD"
            source.complain_key("F209", (*here, key), "only a loop or a foreach has `stages`", mend)
        elif kind in {Kind.PARALLEL, Kind.LOOP, Kind.FOREACH, Kind.WORKFLOW}:
            word = "group" if kind is Kind.PARALLEL else kind.value
            mend = f"put {key} at a stage inside"
            source.complain_key(
                "F209", (*here, key), f"a {word} has no {key}; its stages have", mend
            )
        else:
            source.complain_key(
                "F209", (*here, key), f"a stage of the kind `{own}` has no {key}", "take it away"
            )


@lru_cache(maxsize=1)
def _stage_keys() -> dict[str, object]:
    """Return what a stage can have besides the key of its kind, with what each is when it is not given."""
    plain = Stage()
    return {name: getattr(plain, name) for name in Stage.__struct_fields__ if name not in KIND_KEYS}


def _check_loop(source: Source, stage: Stage, here: Path) -> None:
    loop, stages = stage.loop, stage.stages or {}
    if loop is None or not stages:
        return
    name = until_stage(loop)
    if not loop.until.endswith(".passed") or name not in stages:
        mend = did_you_mean(name, stages)
        source.complain(
            "F208",
            (*here, "loop", "until"),
            "`until` is STAGE.passed, with a stage of this loop",
            mend,
        )
    elif source.is_broken_below((*here, "stages", name, "gates")):
        return
    elif not stages[name].gates and kind_of(stages[name]) not in {Kind.LOOP, Kind.APPROVAL}:
        mend = f"give {name} gates: [...]; a loop never ends on an agent's word"
        source.complain(
            "F208", (*here, "loop", "until"), f"{name} has no gates, so nothing decides", mend
        )
    elif stages[name].when:
        message = f"{name} has a `when`; skipped, it would decide nothing"
        source.complain("F208", (*here, "loop", "until"), message, "put the condition at the loop")
    elif stages[name].on_failure != FAIL:
        source.complain(
            "F208",
            (*here, "loop", "until"),
            f"{name} decides, so its failure cannot be passed over",
        )


def _check_call(flow: Flow, source: Source, stage: Stage, here: Path) -> None:
    if stage.workflow is None:
        return
    called = stage.workflow
    source.require_known((*here, "workflow"), called, flow.workflows, "workflow")
    if here[-1] in flow.workflows:
        message = f"a stage that calls a workflow cannot have a workflow's name, {here[-1]}"
        source.complain("F212", here, message, f"call it run_{here[-1]}")
    if called not in flow.workflows:
        return
    wanted = flow.workflows[called].inputs
    for name in stage.inputs:
        source.require_known(
            (*here, "inputs", name), name, {**wanted, "idea": ""}, f"input of {called}"
        )
    for name, given in wanted.items():
        if given.required and name not in stage.inputs and name != "idea":
            source.complain(
                "F111", here, f"{called} needs the input {name!r}", f"add inputs: {{{name}: ...}}"
            )


def _check_command(source: Source, stage: Stage, here: Path) -> None:
    """Refuse no command, and values in one.

    What an idea or an agent says must never be run by a shell.
    """
    if stage.run is not None and not stage.run.strip():
        source.complain("F114", (*here, "run"), "there is no command", "write what is to be run")
    for word, offset in templates.places(stage.run or ""):
        if templates.is_name(word):
            variable = word.rpartition(".")[2].upper()
            source.complain_at(
                "F215",
                (*here, "run"),
                offset,
                "a value in a command line could be run by the shell",
                f'hand it over as a variable: env: {{{variable}: "{{{{ {word} }}}}"}}, and write "${variable}"',
            )


def _check_outputs(source: Source, stage: Stage, here: Path) -> None:
    files: dict[str, str] = {}
    for name, output in stage.outputs.items():
        path: Path = (*here, "outputs", name)
        if name in STATES:
            source.complain(
                "F114", path, f"{name!r} is asked of every stage; an output needs another name"
            )
        for field, words in output.fields.items():
            if len(words) == 1 and words[0] not in _TYPES:
                message = f"{words[0]!r} is no type, and one word is no choice"
                mend = f"{did_you_mean(words[0], _TYPES)}; or the words it may hold: [small, large]"
                source.complain_at("F114", (*path, "fields", field), 0, message, mend)
        if source.is_broken_below((*path, "file")):
            continue
        if output.file.startswith("/") or ".." in output.file.split("/") or not output.file:
            source.complain(
                "F114", (*path, "file"), f"{output.file!r} is not a file below the output folder"
            )
        if output.file in files:
            source.complain(
                "F114", path, f"{name} and {files[output.file]} are the same file {output.file}"
            )
        files[output.file] = name
        if (output.fields or output.schema) and not output.file.endswith(".json"):
            mend = f"call it {output.file.rpartition('.')[0] or output.file}.json"
            source.complain(
                "F114", path, f"{output.file} has a shape, so it must be a .json file", mend
            )


def check_names(flow: Flow, source: Source, order: Order, workflow: str) -> None:
    """Check conditions and templates of one workflow, which may name stages that are over by then."""
    found = flow.workflows[workflow]
    ids, inputs = ids_of(found.stages, ""), (*GIVEN, *found.inputs)
    for name, stage, path in _walk(found.stages, ("workflows", workflow, "stages")):
        scope = Scope(inputs=inputs, order=order, ids=ids, here=ids[name])
        if stage.when and not source.is_broken((*path, "when")):
            check_condition(source, (*path, "when"), stage.when, scope)
        if stage.foreach is not None and not source.is_broken_below((*path, "foreach")):
            key = (
                ("foreach", "over") if source.has_key((*path, "foreach", "over")) else ("foreach",)
            )
            check_list(source, (*path, *key), stage.foreach.over, scope)
        for words in ("env", "inputs"):
            for word, text in getattr(stage, words).items():
                check_template(source, (*path, words, word), text, scope)
        if stage.approval is not None:
            _check_approval(source, stage, path, scope)


def _check_approval(source: Source, stage: Stage, path: Path, scope: Scope) -> None:
    if stage.approval is None:
        return
    if not stage.needs:
        mend = "add needs: [STAGE]; `revise` sends that stage back"
        source.complain("F111", path, f"{path[-1]} has nothing to look at", mend, missing="needs")
    here = (
        (*path, "approval", "ask")
        if source.has_key((*path, "approval", "ask"))
        else (*path, "approval")
    )
    check_template(source, here, stage.approval.ask, scope)
    steps = scope.order.steps
    there = {
        f"{name}.{output}": step
        for name, step in scope.ids.items()
        for output in steps[step].stage.outputs
    }
    known = [
        "diff",
        *(name for name, step in there.items() if scope.order.is_before(step, scope.here)),
    ]
    for index, word in enumerate(stage.approval.show):
        place: Path = (*path, "approval", "show", index)
        if word in there and word not in known:
            name = word.partition(".")[0]
            message = f"the stage {name!r} need not be over yet when this is asked"
            source.complain("F210", place, message, f"add it to needs: [{name}]")
        else:
            source.require_known(place, word, known, "output that is there by then:", "F210")


def _walk(stages: Mapping[str, Stage], path: Path) -> Iterator[tuple[str, Stage, Path]]:
    for name, stage in stages.items():
        yield name, stage, (*path, name)
        if inner := inner_of(stage):
            yield from _walk(inner[1], (*path, name, inner[0]))
