"""Names in conditions and templates of a flow: what each may mean at the place where it stands."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from pipeline.language import expressions, schemas, templates
from pipeline.language.compiler import STAR, named
from pipeline.language.diagnostics import did_you_mean
from pipeline.language.expressions import ANY, BOOLEAN, LIST, TEXT, Name, Type, Wrong
from pipeline.language.flow import FieldType, Output
from pipeline.language.flow_order import Order
from pipeline.language.flow_source import Path, Source

GIVEN = ("idea", "feature", "base_branch")
"""Inputs that every workflow has."""

STATES = ("done", "failed", "skipped")
"""What can be asked of every stage."""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """The place of a stage whose names are looked up."""

    inputs: Collection[str]
    order: Order
    ids: Mapping[str, str]
    here: str

    def type_of(self, name: Name, offset: int) -> Type:
        """Return the type of a dotted name. Raises `Wrong`."""
        if name[0] == "inputs":
            return self._input(name, offset)
        if name[0] == "item":
            if STAR not in self.here:
                raise Wrong("there is no `item` outside of a foreach", offset)
            return ANY
        stage = named(name[0], self.ids)
        if stage is None:
            raise Wrong(
                f"there is no stage {name[0]!r}",
                offset,
                did_you_mean(name[0], [*self.ids, "inputs"]),
            )
        return self._stage(stage, name, offset)

    def _input(self, name: Name, offset: int) -> Type:
        if len(name) != 2 or name[1] not in self.inputs:
            raise Wrong(
                f"there is no input {'.'.join(name[1:])!r}",
                offset,
                did_you_mean(name[-1], self.inputs),
            )
        return TEXT

    def _stage(self, stage: str, name: Name, offset: int) -> Type:
        step = self.order.steps[self.ids[stage]]
        item = step.id.rpartition(f":{STAR}:")[0]
        if item and not self.here.startswith(f"{item}:{STAR}:"):
            raise Wrong(
                f"{stage} runs once for each item; seen from here it has no one answer", offset
            )
        if not self.order.is_before(step.id, self.here):
            raise Wrong(
                f"the stage {stage!r} need not be over yet when this is asked",
                offset,
                f"add it to needs: [{stage}]",
            )
        if len(name) == 2 and name[1] in STATES:
            return BOOLEAN
        known = [f"{stage}.{output}" for output in step.stage.outputs] + [
            f"{stage}.{word}" for word in STATES
        ]
        output = named(name[1], step.stage.outputs) if len(name) > 1 else None
        if output is None:
            raise Wrong(
                f"{'.'.join(name)} says nothing", offset, did_you_mean(".".join(name[:2]), known)
            )
        return _field(step.stage.outputs[output], name, offset)


def _field(output: Output, name: Name, offset: int) -> Type:
    fields = schemas.fields_of(output)
    if not fields:
        mend = "declare what it holds: fields: {size: [small, large]}"
        raise Wrong(f"nothing says what {'.'.join(name[:2])} holds", offset, mend)
    if len(name) < 3 or name[2] not in fields:
        raise Wrong(f"{'.'.join(name)} is no field of it", offset, did_you_mean(name[-1], fields))
    found = fields[name[2]]
    return found if len(name) == 3 else ANY


def check_condition(source: Source, path: Path, text: str, scope: Scope) -> None:
    """Complain about a condition that cannot be answered with true or false."""
    _check(
        source,
        path,
        text,
        scope,
        BOOLEAN,
        "compare it with something: planner.plan.size == 'large'",
    )


def check_list(source: Source, path: Path, text: str, scope: Scope) -> None:
    """Complain about an expression that does not give a list."""
    _check(source, path, text, scope, LIST, "name a field of type list: planner.work.items")


def _check(source: Source, path: Path, text: str, scope: Scope, wanted: Type, mend: str) -> None:
    try:
        _require(expressions.check(text, scope.type_of), wanted, mend)
    except Wrong as wrong:
        source.complain_at("F210", path, wrong.offset, wrong.what, wrong.mend)


def _require(found: Type, wanted: Type, mend: str) -> None:
    if found.kind not in {None, wanted.kind}:
        raise Wrong(f"this is {found.says}, where {wanted.says} is needed", 0, mend)


def check_template(source: Source, path: Path, text: str, scope: Scope) -> None:
    """Complain about names between double braces that stand for nothing."""
    for word, offset in templates.places(text):
        try:
            _check_name(word, scope)
        except Wrong as wrong:
            mend = (
                wrong.mend
                or "known: inputs.NAME, run.id, run.feature, item.FIELD, STAGE.OUTPUT.FIELD"
            )
            source.complain_at("F205", path, offset, f"{{{{ {word} }}}}: {wrong.what}", mend)


def _check_name(word: str, scope: Scope) -> None:
    name = tuple(word.split("."))
    if name[0] == "run" and name not in templates.RUN_NAMES:
        raise Wrong("there is no such word of the run", mend="known: run.id, run.feature")
    if name in templates.RUN_NAMES:
        return
    if not templates.is_name(word):
        raise Wrong(
            f"{word!r} is no plain name", mend="only names stand between {{ }}: {{ inputs.idea }}"
        )
    if scope.type_of(name, 0).kind in {FieldType.LIST, FieldType.OBJECT}:
        raise Wrong(
            f"{word} is no plain value", mend="only text, numbers, true and false can be filled in"
        )


def check_globs(
    source: Source, path: Path, patterns: Sequence[str], known: Collection[str]
) -> None:
    """Complain about `{{ NAME.source }}` that stands for nothing."""
    for index, pattern in enumerate(patterns):
        word = pattern.strip("{} ") if pattern.startswith("{{") else ""
        if word and word not in known:
            mend = did_you_mean(word, known) if known else "a target says its paths itself"
            source.complain(
                "F205", (*path, index), f"{{{{ {word} }}}} stands for no paths here", mend
            )
