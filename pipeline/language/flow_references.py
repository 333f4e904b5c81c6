"""Check what the conditions, templates and approvals of a workflow refer to."""

from collections.abc import Iterator, Mapping

from pipeline.language.compiler import body_of, ids_of
from pipeline.language.flow import Flow, Stage
from pipeline.language.flow_names import (
    BUILTIN_INPUTS,
    NameScope,
    check_condition,
    check_list,
    check_template,
)
from pipeline.language.flow_order import StageOrder
from pipeline.language.flow_source import Path, Source


def check_names(flow: Flow, source: Source, order: StageOrder, workflow: str) -> None:
    """Check the conditions and templates of a workflow; they may name stages that are over."""
    checked = flow.workflows[workflow]
    ids, inputs = ids_of(checked.stages, ""), (*BUILTIN_INPUTS, *checked.inputs)
    for name, stage, path in _walk(checked.stages, ("workflows", workflow, "stages")):
        scope = NameScope(inputs=inputs, order=order, ids=ids, here=ids[name])
        if stage.when and not source.has_error((*path, "when")):
            check_condition(source, (*path, "when"), stage.when, scope)
        if stage.foreach is not None and not source.has_error_below((*path, "foreach")):
            # `foreach: a.b.c` is short for `foreach: {over: a.b.c}` and has no key `over`.
            key = (
                ("foreach", "over") if source.has_key((*path, "foreach", "over")) else ("foreach",)
            )
            check_list(source, (*path, *key), stage.foreach.over, scope)
        for words in ("env", "inputs"):
            for word, text in getattr(stage, words).items():
                check_template(source, (*path, words, word), text, scope)
        if stage.approval is not None:
            _check_approval(source, stage, path, scope)


def _check_approval(source: Source, stage: Stage, path: Path, scope: NameScope) -> None:
    if stage.approval is None:
        return
    if not stage.needs:
        hint = "add needs: [STAGE]; `revise` sends that stage back"
        source.error("F111", path, f"{path[-1]} has nothing to look at", hint, missing="needs")
    here = (
        (*path, "approval", "ask")
        if source.has_key((*path, "approval", "ask"))
        else (*path, "approval")
    )
    check_template(source, here, stage.approval.ask, scope)
    steps = scope.order.steps
    outputs = {
        f"{name}.{output}": step
        for name, step in scope.ids.items()
        for output in steps[step].stage.outputs
    }
    known = [
        "diff",
        *(name for name, step in outputs.items() if scope.order.is_before(step, scope.here)),
    ]
    for index, word in enumerate(stage.approval.show):
        place: Path = (*path, "approval", "show", index)
        if word in outputs and word not in known:
            name = word.partition(".")[0]
            message = f"the stage {name!r} may not be over yet when this is evaluated"
            source.error("F210", place, message, f"add it to needs: [{name}]")
        else:
            source.require_known(place, word, known, "output available at this point:", "F210")


def _walk(stages: Mapping[str, Stage], path: Path) -> Iterator[tuple[str, Stage, Path]]:
    for name, stage in stages.items():
        yield name, stage, (*path, name)
        if inner := body_of(stage):
            yield from _walk(inner[1], (*path, name, inner[0]))
