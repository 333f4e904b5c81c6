"""What a later stage may do to delivered tests: only what it names, with a reason.

A delivered test that was changed or taken back stands under `revised` in `tests.json`, and no item
of the plan is left without a test.
"""

from collections.abc import Iterator

from pipeline.core.evidence import RedEvidence
from pipeline.gates.base import GateContext
from pipeline.gates.functions import functions_in, plain_name, rewritten
from pipeline.language import globs


def revisions(context: GateContext) -> Iterator[str]:
    """Yield what is wrong with a revision of delivered tests; nothing for a first delivery."""
    earlier = context.earlier
    if earlier is None or not isinstance(earlier.evidence, RedEvidence):
        return
    named = {plain_name(one.name) for one in context.delivery.revised}
    for change in context.store.diff(earlier.tree, context.tree):
        path = change.path
        if not globs.matches_any(context.tests(), path):
            continue
        before, after = (
            functions_in(path, _text(context, tree, path)) for tree in (earlier.tree, context.tree)
        )
        there = {one.name for one in after}
        gone = [one.name for one in before if one.name not in there]
        gone = list(dict.fromkeys([*gone, *rewritten(before, after)]))
        yield from (
            f"{path}: the delivered test {name} was changed or taken back; "
            "name it in tests.json with the reason (revised), or leave it"
            for name in gone
            if not _is_named(path, name, named)
        )
        is_whole = not before and change.status != "A" and plain_name(path) not in named
        if is_whole and change.status != "A":
            yield f"{path}: it was changed; name the file in tests.json with the reason (revised)"
    held = {one.holds for one in earlier.evidence.delivery.tests}
    taken_back = named - {plain_name(name) for name in _names(context)}
    left = {one.holds for one in context.delivery.tests if plain_name(one.name) not in taken_back}
    yield from (f"no test is left for the plan's item {item!r}" for item in sorted(held - left))


def _is_named(path: str, name: str, named: set[str]) -> bool:
    plain = plain_name(f"{path}::{name.replace('.', '::')}")
    return plain in named or any(one.endswith(f".{name}") for one in named)


def _names(context: GateContext) -> Iterator[str]:
    """Yield the tests that the files of the tree have now, as `FILE::NAME`."""
    for path in context.store.paths(context.tree):
        if globs.matches_any(context.tests(), path):
            for one in functions_in(path, _text(context, context.tree, path)):
                yield f"{path}::{one.name.replace('.', '::')}"


def _text(context: GateContext, tree: str, path: str) -> str:
    return (context.store.read(tree, path) or b"").decode(errors="replace")
