"""Events as lines: every one comes back as it was, and what a newer release adds does no harm."""

import builtins
import json
import types
from datetime import UTC
from typing import Any, get_args, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.effects import Effect
from pipeline.core.events import Event, Item, StageFinished, Usage, decode, encode
from pipeline.core.evidence import Evidence, GateResult, GateVerdict
from pipeline.core.violations import Violation
from pipeline.language.flow import GateName

TYPES = get_args(Event)


def every_field(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Build structs of one type with every field filled in, those inside it too."""

    def of(hint: Any) -> st.SearchStrategy[Any]:
        match get_origin(hint), get_args(hint):
            case builtins.tuple, (inner, _):
                return st.lists(of(inner), max_size=2).map(tuple)
            case builtins.dict, (key, value):
                return st.dictionaries(of(key), of(value), max_size=2)
            case types.UnionType, (inner, _):
                return st.none() | of(inner)
            case _:
                is_struct = isinstance(hint, type) and issubclass(hint, msgspec.Struct)
                return (
                    every_field(hint)
                    if is_struct
                    else words
                    if hint is str
                    else st.integers(0, 2**53)
                    if hint is int
                    else st.from_type(hint)
                )

    fields = msgspec.structs.fields(kind)
    return st.builds(kind, **{field.name: of(field.type) for field in fields})


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.none() | st.integers(0, 2**53)
costs = st.none() | st.floats(0, 1e6)
times = st.datetimes(timezones=st.just(UTC))
plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words
values = st.dictionaries(words, plain | st.lists(plain, max_size=2), max_size=2)
usages = st.builds(Usage, input_tokens=numbers, output_tokens=numbers, cost_usd=costs)
gate_results = st.builds(
    GateResult,
    gate=st.sampled_from(GateName),
    verdict=st.sampled_from(GateVerdict),
    tree=words,
    detail=words,
    failures=st.lists(words, max_size=3).map(tuple),
    evidence=st.none() | st.one_of(*(every_field(kind) for kind in get_args(Evidence))),
)


def any_event(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Build events of one type with every field filled in, by the field's own type."""
    known = {
        "at": times,
        "retry_after": st.none() | times,
        "gates": st.lists(gate_results, max_size=2).map(tuple),
        "usage": usages,
        "duration_s": st.floats(0, 1e6),
        "awake_s": st.floats(0, 1e6),
        "values": values,
        "effect": st.one_of(*(every_field(one) for one in get_args(Effect))),
        "violations": st.lists(every_field(Violation), max_size=2).map(tuple),
        "items": st.lists(st.builds(Item, key=words, value=plain), max_size=2).map(tuple),
        "until": st.none() | times,
        "usd": costs,
        "wall_s": costs,
    }
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    return st.builds(
        kind, **{name: known.get(name, st.from_type(hint)) for name, hint in fields.items()}
    )


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_event_comes_back_as_it_was(kind: type[Event]) -> None:
    @given(any_event(kind))
    @settings(max_examples=40)
    def comes_back(event: Event) -> None:
        assert decode(encode(event)) == event
        assert b"\n" not in encode(event)

    comes_back()


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_a_field_that_a_newer_release_adds_is_left_alone(kind: type[Event]) -> None:
    @given(any_event(kind))
    @settings(max_examples=10)
    def left_alone(event: Event) -> None:
        line = json.loads(encode(event)) | {"added_later": {"deep": [1, 2]}}
        assert decode(json.dumps(line).encode()) == event

    left_alone()


def test_fields_that_say_nothing_are_not_written() -> None:
    line = b'{"event":"stage_finished","at":"2026-01-02T03:04:05Z","stage":"a","attempt":1,"outcome":"done"}'
    event = decode(line)
    assert isinstance(event, StageFinished)
    assert encode(event) == line


def test_an_event_that_is_not_known_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="event"):
        decode(b'{"event":"moon_landed","at":"2026-01-02T03:04:05Z"}')


def test_a_field_of_the_wrong_type_is_refused_by_name() -> None:
    with pytest.raises(msgspec.ValidationError, match="attempt"):
        decode(b'{"event":"stage_started","at":"2026-01-02T03:04:05Z","stage":"a","attempt":"one"}')
