"""Delivered tests that a person has taken away since: nobody has to run those any more."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from pipeline.core.events import PersonEdited
from pipeline.core.evidence import GateResult, NewTests, RedEvidence
from pipeline.gates.functions import functions_in, is_function, plain_name
from pipeline.repo.store import Store


def without_taken_away(store: Store, red: GateResult, edits: Sequence[PersonEdited]) -> GateResult:
    """Return what the red gate saw, without the tests that persons' edits took away."""
    evidence = red.evidence
    gone = list(_taken_away(store, red.tree, edits))
    if not isinstance(evidence, RedEvidence) or not gone:
        return red
    targets = {name: _without(tests, gone) for name, tests in evidence.targets.items()}
    return replace(red, evidence=replace(evidence, targets=targets))


def _taken_away(
    store: Store, delivered: str, edits: Sequence[PersonEdited]
) -> Iterator[tuple[str, str]]:
    """Yield file and function of each delivered test that is not there any more."""
    for edit in edits:
        for path in edit.changed:
            before, after = (_names(store, tree, path) for tree in (delivered, edit.tree))
            yield from ((path, name) for name in before if name not in after)


def _names(store: Store, tree: str, path: str) -> list[str]:
    text = (store.read(tree, path) or b"").decode(errors="replace")
    return [one.name for one in functions_in(path, text)]


def _without(tests: NewTests, gone: Sequence[tuple[str, str]]) -> NewTests:
    def is_gone(name: str) -> bool:
        return any(
            is_function(name, path, function) and plain_name(name).startswith(_module(path))
            for path, function in gone
        )

    return replace(
        tests,
        tests={name: why for name, why in tests.tests.items() if not is_gone(name)},
        functions={
            path: tuple(name for name in names if (path, name) not in gone)
            for path, names in tests.functions.items()
        },
        passing=tuple(name for name in tests.passing if not is_gone(name)),
    )


def _module(path: str) -> str:
    return plain_name(f"{path}::x").removesuffix(".x")
