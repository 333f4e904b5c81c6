"""Names in the conditions and placeholders of a flow: what each may mean where it is used."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from pipeline.language import expressions, placeholders, schemas
from pipeline.language.compiler import STAR, named
from pipeline.language.diagnostics import did_you_mean
from pipeline.language.expressions import (
    ANY,
    BOOLEAN,
    LIST,
    NUMBER,
    TEXT,
    DottedName,
    ExpressionError,
    Type,
)
from pipeline.language.flow import FieldType, Output
from pipeline.language.flow_order import StageOrder
from pipeline.language.flow_source import Path, Source

BUILTIN_INPUTS = ("idea", "feature", "base_branch")
"""The inputs that every workflow has."""

STATES = ("done", "failed", "skipped")
"""What a condition can ask of every stage."""

RUNS = "runs"
"""How often a stage was done in this run, in all rounds; a stage can ask it of itself, too."""


class NameScope(msgspec.Struct, frozen=True, kw_only=True):
    """The names that can be used at one stage: `here` is its id, `ids` has the whole workflow's."""

    inputs: Collection[str]
    order: StageOrder
    ids: Mapping[str, str]
    here: str

    def type_of(self, name: DottedName, offset: int) -> Type:
        """Return the type of a dotted name. Raises `ExpressionError`."""
        if name[0] == "inputs":
            return self._input(name, offset)
        if name[0] == "item":
            if STAR not in self.here:
                raise ExpressionError("there is no `item` outside a foreach", offset)
            return ANY
        if name[0] == "loop":
            return self._loop(name, offset)
        stage = named(name[0], self.ids)
        if stage is None:
            near = did_you_mean(name[0], [*self.ids, "inputs"])
            raise ExpressionError(f"there is no stage {name[0]!r}", offset, near)
        return self._stage(stage, name, offset)

    def _input(self, name: DottedName, offset: int) -> Type:
        if len(name) != 2 or name[1] not in self.inputs:
            near = did_you_mean(name[-1], self.inputs)
            raise ExpressionError(f"there is no input {'.'.join(name[1:])!r}", offset, near)
        return TEXT

    def _loop(self, name: DottedName, offset: int) -> Type:
        if name != ("loop", "round"):
            raise ExpressionError(
                f"`loop` has no such value: {'.'.join(name)}", offset, "loop.round"
            )
        if not self.order.steps[self.here].loops:
            raise ExpressionError("there is no `loop.round` outside a loop", offset)
        return NUMBER

    def _stage(self, stage: str, name: DottedName, offset: int) -> Type:
        step = self.order.steps[self.ids[stage]]
        item = step.id.rpartition(f":{STAR}:")[0]
        if item and not self.here.startswith(f"{item}:{STAR}:"):
            message = f"{stage} runs once for each item; outside the foreach it has no single value"
            raise ExpressionError(message, offset)
        if len(name) == 2 and name[1] == RUNS and step.id == self.here:
            return NUMBER
        if not self.order.is_before(step.id, self.here):
            message = f"the stage {stage!r} may not be over yet when this is evaluated"
            raise ExpressionError(message, offset, f"add it to needs: [{stage}]")
        if len(name) == 2 and name[1] in STATES:
            return BOOLEAN
        if len(name) == 2 and name[1] == RUNS:
            return NUMBER
        output = named(name[1], step.stage.outputs) if len(name) > 1 else None
        if output is None:
            known = [f"{stage}.{word}" for word in (*step.stage.outputs, *STATES, RUNS)]
            near = did_you_mean(".".join(name[:2]), known)
            raise ExpressionError(f"{'.'.join(name)} does not exist", offset, near)
        return _field(step.stage.outputs[output], name, offset)


def _field(output: Output, name: DottedName, offset: int) -> Type:
    fields = schemas.fields_of(output)
    if not fields:
        message = f"{'.'.join(name[:2])} has no declared fields"
        raise ExpressionError(message, offset, "declare them: fields: {size: [small, large]}")
    if len(name) < 3 or name[2] not in fields:
        near = did_you_mean(name[-1], fields)
        raise ExpressionError(f"{'.'.join(name)} is not one of its fields", offset, near)
    return fields[name[2]] if len(name) == 3 else ANY


def check_condition(source: Source, path: Path, text: str, scope: NameScope) -> None:
    """Report an error in a condition that cannot be evaluated to true or false."""
    hint = "compare it with something: planner.plan.size == 'large'"
    _check(source, path, text, scope, BOOLEAN, hint)


def check_list(source: Source, path: Path, text: str, scope: NameScope) -> None:
    """Report an error in an expression that does not yield a list."""
    _check(source, path, text, scope, LIST, "name a field of type list: planner.work.items")


def _check(
    source: Source, path: Path, text: str, scope: NameScope, wanted: Type, hint: str
) -> None:
    try:
        _require(expressions.check(text, scope.type_of), wanted, hint)
    except ExpressionError as error:
        source.error_at_offset("F210", path, error.offset, error.message, error.hint)


def _require(actual: Type, wanted: Type, hint: str) -> None:
    if actual.kind not in {None, wanted.kind}:
        message = f"expected a {wanted.description}, got {actual.description}"
        raise ExpressionError(message, 0, hint)


def check_template(source: Source, path: Path, text: str, scope: NameScope) -> None:
    """Report names between double braces that cannot be filled in."""
    for word, offset in placeholders.places(text):
        try:
            _check_name(word, scope)
        except ExpressionError as error:
            known = "known: inputs.NAME, run.id, run.feature, item.FIELD, STAGE.OUTPUT.FIELD"
            message = f"{{{{ {word} }}}}: {error.message}"
            source.error_at_offset("F205", path, offset, message, error.hint or known)


def _check_name(word: str, scope: NameScope) -> None:
    name = tuple(word.split("."))
    if name[0] == "run" and name not in placeholders.RUN_NAMES:
        raise ExpressionError(f"`run` has no such value: {word}", hint="known: run.id, run.feature")
    if name in placeholders.RUN_NAMES:
        return
    if not placeholders.is_name(word):
        hint = "only names can be used between {{ }}: {{ inputs.idea }}"
        raise ExpressionError(f"{word!r} is not a plain name", hint=hint)
    if scope.type_of(name, 0).kind in {FieldType.LIST, FieldType.OBJECT}:
        hint = "only text, numbers, true and false can be filled in"
        raise ExpressionError(f"{word} is not a plain value", hint=hint)


def check_globs(
    source: Source, path: Path, patterns: Sequence[str], known: Collection[str]
) -> None:
    """Report `{{ NAME.source }}` patterns that stand for no paths."""
    for index, pattern in enumerate(patterns):
        word = pattern.strip("{} ") if pattern.startswith("{{") else ""
        if word and word not in known:
            hint = did_you_mean(word, known) if known else "write the paths of a target out"
            message = f"{{{{ {word} }}}} does not stand for any paths here"
            source.error("F205", (*path, index), message, hint)
