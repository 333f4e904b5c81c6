"""Check each stage of a flow by its kind: the keys it can have, its groups, loops and calls."""

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from pipeline.ids import plain_name
from pipeline.language.compiler import KIND_KEYS, body_of, kind_of, until_stage
from pipeline.language.diagnostics import did_you_mean
from pipeline.language.flow import CONTINUE, FAIL, Flow, Stage
from pipeline.language.flow_names import BUILTIN_INPUTS
from pipeline.language.flow_source import Path, Source
from pipeline.language.flow_work import check_work
from pipeline.language.plan import Kind

_RESERVED = {
    "inputs", "item", "run", "loop",
    "and", "or", "not", "in", "is", "if", "else", "for", "lambda", "true", "false",
}  # fmt: skip
"""Words that mean something else in conditions; most because Python's parser reads those."""

_EVERY = {"needs", "when"}
_WORK = _EVERY | {
    "lock", "writes", "reads", "outputs", "gates", "retry", "on_failure", "timeout",
    "idle_timeout", "env",
}  # fmt: skip
ALLOWED: Mapping[Kind, set[str]] = {
    Kind.AGENT: _WORK | {"mode", "limits", "may", "gates_first"},
    Kind.RUN: _WORK,
    Kind.PARALLEL: _EVERY | {"gates", "retry"},
    Kind.LOOP: _EVERY | {"stages"},
    Kind.FOREACH: _EVERY | {"stages"},
    Kind.WORKFLOW: _EVERY | {"inputs"},
    Kind.APPROVAL: _EVERY,
    Kind.PUBLISH: _EVERY | {"lock", "retry"},
}
"""The keys that a stage of each kind can have besides the key of its kind."""


def check_all(flow: Flow, source: Source, stages: Mapping[str, Stage], path: Path) -> None:
    """Check the stages of one workflow, including those inside groups."""
    seen: dict[str, Path] = {}
    _check_level(flow, source, stages, path, seen)


def _check_level(
    flow: Flow, source: Source, stages: Mapping[str, Stage], path: Path, seen: dict[str, Path]
) -> None:
    for name, stage in stages.items():
        here: Path = (*path, name)
        first = seen.setdefault(plain_name(name), here)
        if first is not here:
            message = f"a stage {first[-1]!r} already exists on line {source.mark(first).line}"
            hint = (
                "stage names are unique in a workflow, also inside groups and loops; "
                "- and _ are alike"
            )
            source.error("F212", here, message, hint)
        elif name in _RESERVED:
            message = f"{name!r} has a meaning in conditions, so a stage needs another name"
            source.error("F114", here, message)
        if _has_one_kind(source, stage, here):
            _check_stage(flow, source, stage, here)
        for index, need in enumerate(stage.needs):
            if need not in stages:
                others = [other for other in stages if other != name]
                path_of_need = (*here, "needs", index)
                source.require_known(path_of_need, need, others, "stage on this level called")
        if inner := body_of(stage):
            _check_level(flow, source, inner[1], (*here, inner[0]), seen)


def _has_one_kind(source: Source, stage: Stage, here: Path) -> bool:
    kinds = [key for key in KIND_KEYS if getattr(stage, key) is not None]
    if len(kinds) == 1:
        return True
    if kinds or not source.has_key_error(here):
        actual = "has none of them" if not kinds else "has " + " and ".join(kinds)
        message = f"a stage has exactly one of {', '.join(KIND_KEYS)}; {here[-1]} {actual}"
        hint = "remove one with `KEY: ~`" if "extends" in source.texts and kinds else ""
        source.error("F209", here, message, hint)
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
    _check_minimums(source, stage, here)
    check_work(flow, source, stage, kind, here)


def _check_keys(source: Source, stage: Stage, kind: Kind, here: Path) -> None:
    """Report keys that a stage of this kind cannot have."""
    own = next(key for key in KIND_KEYS if getattr(stage, key) is not None)
    for key, (field, default) in _stage_keys().items():
        if key in ALLOWED[kind] or getattr(stage, field) == default:
            continue
        path: Path = (*here, key)
        if key == "gates" and kind is Kind.LOOP:
            message = "a loop has no gates; put them on the stage that its `until` names"
            source.error_at_key("F207", path, message)
        elif key == "stages":
            hint = "add loop: {max: 3, until: STAGE.passed}, or foreach: STAGE.OUTPUT.FIELD"
            source.error_at_key("F209", path, "only a loop or a foreach has `stages`", hint)
        elif kind in {Kind.PARALLEL, Kind.LOOP, Kind.FOREACH, Kind.WORKFLOW}:
            word = "group" if kind is Kind.PARALLEL else kind.value
            message = f"a {word} cannot have {key}; its stages can"
            source.error_at_key("F209", path, message, f"put {key} on a stage inside it")
        else:
            message = f"a stage of the kind `{own}` cannot have {key}"
            source.error_at_key("F209", path, message, "remove it")


@lru_cache(maxsize=1)
def _stage_keys() -> dict[str, tuple[str, object]]:
    """Return the keys of a stage besides that of its kind, with their field and its default."""
    plain = Stage()
    return {
        field.encode_name: (field.name, getattr(plain, field.name))
        for field in msgspec.structs.fields(Stage)
        if field.encode_name not in KIND_KEYS
    }


def _check_follow_up(flow: Flow, source: Source, stage: Stage, here: Path) -> None:
    """Check the workflows that look for causes: they exist, and need no input without a default."""
    known = [*flow.workflows, FAIL, CONTINUE]
    source.require_known((*here, "on_failure"), stage.on_failure, known, "workflow")
    path, word = (*here, "on_failure"), stage.on_failure
    if stage.loop is not None:
        path, word = (*here, "loop", "on_exhausted"), stage.loop.on_exhausted
        source.require_known(path, word, [*flow.workflows, FAIL], "workflow")
    wanted = flow.workflows[word].inputs if word in flow.workflows else {}
    for name, declared in wanted.items():
        if declared.required and name not in BUILTIN_INPUTS:
            message = f"{word} is started automatically here, so its input {name!r} has no value"
            source.error("F111", path, message, f"give {name} a default")


def _check_loop(source: Source, stage: Stage, here: Path) -> None:
    loop, stages = stage.loop, stage.stages or {}
    if loop is None or not stages:
        return
    name, path = until_stage(loop), (*here, "loop", "until")
    if not loop.until.endswith(".passed") or name not in stages:
        message = "`until` must be STAGE.passed, with a stage of this loop"
        source.error("F208", path, message, did_you_mean(name, stages))
    elif source.has_error_below((*here, "stages", name, "gates")):
        return
    elif not stages[name].gates and kind_of(stages[name]) not in {Kind.LOOP, Kind.APPROVAL}:
        hint = f"give {name} gates: [...]; a loop never ends on an agent's word alone"
        source.error("F208", path, f"{name} has no gates, so it cannot decide", hint)
    elif stages[name].when:
        message = f"{name} has a `when`; when it is skipped, it cannot decide"
        source.error("F208", path, message, "put the condition on the loop")
    elif stages[name].on_failure != FAIL:
        message = f"{name} decides when the loop ends, so its failure cannot be ignored"
        source.error("F208", path, message, f"remove on_failure from {name}")


def _check_call(flow: Flow, source: Source, stage: Stage, here: Path) -> None:
    if stage.workflow is None:
        return
    called = stage.workflow
    source.require_known((*here, "workflow"), called, flow.workflows, "workflow")
    if here[-1] in flow.workflows:
        message = f"a stage that calls a workflow cannot have the name of a workflow, {here[-1]}"
        source.error("F212", here, message, f"call it run_{here[-1]}")
    if called not in flow.workflows:
        return
    wanted = flow.workflows[called].inputs
    known = {**wanted, "idea": ""}
    for name in stage.inputs:
        source.require_known((*here, "inputs", name), name, known, f"input of {called}")
    for name, declared in wanted.items():
        if declared.required and name not in stage.inputs and name != "idea":
            hint = f"add inputs: {{{name}: ...}}"
            source.error("F111", here, f"{called} needs the input {name!r}", hint)


def _check_group(source: Source, stage: Stage, kind: Kind, here: Path) -> None:
    if kind in {Kind.LOOP, Kind.FOREACH} and not stage.stages:
        hint = "put its stages below `stages:`"
        source.error("F111", here, f"a {kind.value} needs `stages`", hint, missing="stages")
    if stage.parallel is not None and not stage.parallel:
        source.error("F111", here, f"the group {here[-1]} has no stages", missing="parallel")


def _check_minimums(source: Source, stage: Stage, here: Path) -> None:
    minimums: list[tuple[Path, int, int]] = []
    if stage.foreach is not None:
        minimums += [(("foreach", "max"), stage.foreach.max, 1)]
    if stage.loop is not None:
        minimums += [
            (("loop", "max"), stage.loop.max, 1),
            (("loop", "no_progress"), stage.loop.no_progress, 1),
        ]
    if stage.approval is not None:
        minimums += [(("approval", "revisions"), stage.approval.revisions, 0)]
    if stage.retry is not None:
        minimums += [
            (("retry", word), getattr(stage.retry, word), 0) for word in ("max", "lost", "quota")
        ]
    for path, value, minimum in minimums:
        if value < minimum:
            source.error("F114", (*here, *path), f"{path[-1]} must be at least {minimum}")
