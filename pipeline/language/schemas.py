"""The shapes of the files that agents write and the engine reads; prompts show examples of them."""

import typing
from enum import StrEnum
from typing import Any

import msgspec

from pipeline.language.expressions import Type
from pipeline.language.flow import FieldType, Output, Schema


class Severity(StrEnum):
    """How much a finding matters."""

    BLOCKING = "blocking"
    MINOR = "minor"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One problem that a reviewer found, with its place."""

    file: str
    line: int
    severity: Severity
    what: str
    fails_when: str = ""

    def __str__(self) -> str:
        """Name the place first, as compilers do."""
        scenario = f" (fails when: {self.fails_when})" if self.fails_when else ""
        return f"{self.file}:{self.line}: {self.what}{scenario}"


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a reviewer found; an empty list means that nothing was found."""

    findings: tuple[Finding, ...]


class WorkItem(msgspec.Struct, frozen=True, kw_only=True):
    """One slice of the work: `tests` show that it is done, `after` are the slices before it."""

    title: str
    files: tuple[str, ...] = ()
    done_when: str = ""
    tests: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


class WorkPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done, in order, and when each part counts as done."""

    title: str
    items: tuple[WorkItem, ...]
    checks: tuple[str, ...] = ()


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Why it did not work, and what a person should do."""

    cause: str
    evidence: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()


class HeldItem(msgspec.Struct, frozen=True, kw_only=True):
    """A new test, and the item of the plan that it holds."""

    name: str
    holds: str


class NamedTest(msgspec.Struct, frozen=True, kw_only=True):
    """A test that is treated otherwise than most, and why; `was` is its name on the base."""

    name: str
    why: str
    was: str = ""


class SettingAdded(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of tests or checks that the tests need: `pyproject.toml:tool.pytest.addopts`."""

    key: str
    why: str


class Objection(msgspec.Struct, frozen=True, kw_only=True):
    """A test that a developer holds to be wrong, why, and what shows it."""

    test: str
    why: str
    evidence: str = ""


class Objections(msgspec.Struct, frozen=True, kw_only=True):
    """The tests that cannot be right, in the developer's words; it may not change them itself."""

    objections: tuple[Objection, ...] = ()


class TestDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """What the test stage says of its tests; without it no old test is changed or removed.

    `changed` tests fail on the base and pass later, `kept` ones (renamed, moved) pass on both,
    `guards` are new and pass already, `skipped` ones may be skipped. `revised` are tests of an
    earlier delivery that were changed or taken back after it.
    """

    tests: tuple[HeldItem, ...] = ()
    changed: tuple[NamedTest, ...] = ()
    kept: tuple[NamedTest, ...] = ()
    removed: tuple[NamedTest, ...] = ()
    guards: tuple[NamedTest, ...] = ()
    skipped: tuple[NamedTest, ...] = ()
    settings: tuple[SettingAdded, ...] = ()
    revised: tuple[NamedTest, ...] = ()

    def on_top_of(self, earlier: "TestDelivery") -> "TestDelivery":
        """Return both deliveries as one; of the same name the newer word counts."""
        merged: dict[str, Any] = {}
        for field in self.__struct_fields__:
            both = (*getattr(earlier, field), *getattr(self, field))
            merged[field] = tuple({_key(one): one for one in both}.values())
        return TestDelivery(**merged)


def _key(one: HeldItem | NamedTest | SettingAdded) -> str:
    return one.key if isinstance(one, SettingAdded) else one.name


_TYPES: dict[Schema, Any] = {
    Schema.FINDINGS: Findings,
    Schema.WORK_PLAN: WorkPlan,
    Schema.DIAGNOSIS: Diagnosis,
    Schema.TESTS: TestDelivery,
    Schema.OBJECTIONS: Objections,
}
_EXAMPLES: dict[Schema, str] = {
    Schema.TESTS: '{"tests": [{"name": "tests/test_limits.py::test_the_sixth_attempt_is_refused", '
    '"holds": "1. five attempts in a minute"}], '
    '"changed": [{"name": "tests/test_login.py::test_attempts", "why": "six were allowed"}], '
    '"removed": [], "kept": [], "guards": [], "skipped": [], "settings": [], '
    '"revised": [{"name": "tests/test_limits.py::test_the_fifth", "why": "five are allowed"}]}',
    Schema.OBJECTIONS: '{"objections": [{"test": "tests/test_limits.py::test_the_fifth", '
    '"why": "the plan allows five attempts, the test refuses the fifth", '
    '"evidence": "plan.md, item 1"}]}',
    Schema.FINDINGS: '{"findings": [{"file": "src/app/limits.py", "line": 12, '
    '"severity": "blocking", "what": "the counter is never reset", '
    '"fails_when": "the day changes"}]}',
    Schema.WORK_PLAN: '{"title": "Limit logins per minute", '
    '"items": [{"title": "count attempts per user", "files": ["src/app/limits.py"], '
    '"done_when": "the sixth attempt in a minute is refused", "tests": ["a test a sentence"], '
    '"documents": ["docs/login.md"], "after": []}], "checks": []}',
    Schema.DIAGNOSIS: '{"cause": "the limit is compared before it is raised", '
    '"evidence": ["tests/test_limits.py:20"], '
    '"next_steps": ["compare after the update in src/app/limits.py:31"]}',
}


_PYTHON: dict[FieldType, type | tuple[type, ...]] = {
    FieldType.TEXT: str, FieldType.NUMBER: (int, float), FieldType.BOOLEAN: bool,
    FieldType.LIST: list, FieldType.OBJECT: dict,
}  # fmt: skip
_TYPE_WORDS = {kind.value: kind for kind in FieldType}


def fields_of(output: Output) -> dict[str, Type]:
    """Return the fields of an output's JSON object, as far as the flow declares them."""
    declared = {name: _declared(words) for name, words in output.fields.items()}
    if output.schema is None:
        return declared
    hints = typing.get_type_hints(_TYPES[output.schema])
    return {
        name: Type(FieldType.TEXT if hint is str else FieldType.LIST)
        for name, hint in hints.items()
    } | declared


def _declared(words: tuple[str, ...]) -> Type:
    if len(words) == 1 and words[0] in _TYPE_WORDS:
        return Type(_TYPE_WORDS[words[0]])
    return Type(FieldType.TEXT, words)


def example_of(output: Output) -> str:
    """Return an example of an output's JSON, for prompts; empty if the flow declares no shape."""
    if output.schema is not None:
        return _EXAMPLES[output.schema]
    if not output.fields:
        return ""
    kinds: dict[FieldType, object] = {
        FieldType.TEXT: "...", FieldType.NUMBER: 1, FieldType.BOOLEAN: True,
        FieldType.LIST: [], FieldType.OBJECT: {},
    }  # fmt: skip
    values = {
        name: " | ".join(field.words) or kinds[field.kind or FieldType.TEXT]
        for name, field in fields_of(output).items()
    }
    return msgspec.json.encode(values).decode()


def empty_values(output: Output) -> dict[str, Any]:
    """Return the fields of an output that was left out: each as empty as its type can be."""
    empty: dict[FieldType, object] = {
        FieldType.TEXT: "", FieldType.NUMBER: 0, FieldType.BOOLEAN: False,
        FieldType.LIST: [], FieldType.OBJECT: {},
    }  # fmt: skip
    return {name: empty[field.kind or FieldType.TEXT] for name, field in fields_of(output).items()}


def values_of(output: Output, data: bytes) -> Any:
    """Return what a file of a declared shape holds; lists that were left out are empty."""
    value = msgspec.json.decode(data)
    if isinstance(value, dict):
        for name, field in fields_of(output).items():
            if field.kind is FieldType.LIST:
                value.setdefault(name, [])
    return value


def why_invalid(output: Output, data: bytes) -> str | None:
    """Return how a file deviates from its declared shape, or None when it does not."""
    try:
        if output.schema is not None:
            msgspec.json.decode(data, type=_TYPES[output.schema])
        if output.fields:
            value = msgspec.json.decode(data, type=dict[str, Any])
            for name, field in fields_of(Output(file=output.file, fields=output.fields)).items():
                if reason := _why_field_invalid(name, field, value):
                    return f"{reason}; it should look like {example_of(output)}"
    except msgspec.DecodeError as exc:
        return f"{exc}; it should look like {example_of(output)}"
    return None


def _why_field_invalid(name: str, field: Type, values: dict[str, Any]) -> str | None:
    if name not in values and field.kind is FieldType.LIST:
        return None  # nothing to list
    if name not in values:
        return f"it has no field {name!r}"
    value = values[name]
    if field.words and value not in field.words:
        return f"{name} is {value!r:.60}, not {field.description}"
    fits = field.kind is not None and isinstance(value, _PYTHON[field.kind])
    # In Python a bool is an int, too; `true` is no number in JSON.
    if isinstance(value, bool) and field.kind is not FieldType.BOOLEAN:
        fits = False
    return None if fits else f"{name} is {value!r:.60}, not a {field.description}"
