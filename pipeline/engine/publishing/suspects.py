"""What looks like a token in the lines that a run adds: a person looks before it is published.

Keys that are known never get this far. This is for those that nobody told us of, by their shape.
"""

from collections.abc import Iterator

from pipeline.core.events import TokenPlace, TokensFound
from pipeline.core.redact import Redactor
from pipeline.core.tokens import masked, tokens_in
from pipeline.engine.ground.record import Record
from pipeline.engine.ground.world import World
from pipeline.errors import NeedsPerson
from pipeline.repo.store import Store

_NAMED_MAX = 5
_PLACES_MAX = 200


def require_looked_at(world: World, store: Store, record: Record, base: str, tree: str) -> None:
    """Raise `NeedsPerson` for places that nobody has allowed in this tree; they are recorded."""
    product = record.state.product
    places = tuple(
        place
        for place in suspects(store, world.redactor, base, tree)
        if (tree, place.path) not in product.allowed
    )
    if not places:
        return
    found = TokensFound(at=world.clock(), tree=tree, places=places[:_PLACES_MAX])
    if product.tokens is None or (product.tokens.tree, product.tokens.places) != (
        found.tree,
        found.places,
    ):
        record.add(found)
    run = record.state.started.run_id
    words = [f"{one.path}:{one.line} looks like {one.shape}" for one in places[:_NAMED_MAX]]
    more = len(places) - _NAMED_MAX
    words += [f"and {more} more"] if more > 0 else []
    paths = dict.fromkeys(one.path for one in places)
    raise NeedsPerson(
        f"not published, because of what the change adds: {'; '.join(words)}",
        "\n".join(
            [
                f"Take it out: pipeline open {run}, edit, pipeline resume {run}",
                "Or publish it, if it is no secret:",
                *(f"  pipeline answer {run} allow {path}" for path in list(paths)[:_NAMED_MAX]),
            ]
        ),
    )


def suspects(store: Store, redactor: Redactor, base: str, tree: str) -> list[TokenPlace]:
    """List what looks like a token in the added lines and new names between two trees."""
    changes = [change for change in store.diff(base, tree) if change.status != "D"]
    names = "\n".join(change.path for change in changes if change.status == "A")
    patch = store.patch(base, tree, as_text=True)
    text = f"{names}\n{patch.decode('utf-8', 'replace')}"
    if not any(tokens_in(text)) and not redactor.found(patch):
        return []
    return [
        place
        for change in changes
        if change.mode != "160000"
        for place in _in_file(
            redactor,
            change.path,
            store.read(tree, change.path) or b"",
            (store.read(base, change.path) if change.status != "A" else None) or b"",
        )
    ]


def _in_file(redactor: Redactor, path: str, new: bytes, old: bytes) -> Iterator[TokenPlace]:
    """Yield the places of one file whose lines were not there before; the value is never told."""
    shown = masked(redactor.text(path))
    if not old and shown != path:
        yield TokenPlace(path=shown, line=0, shape=_shape(redactor, path))
    before = set(old.splitlines())
    for number, line in enumerate(new.splitlines(), 1):
        if line not in before and (shape := _shape(redactor, line.decode("utf-8", "replace"))):
            yield TokenPlace(path=shown, line=number, shape=shape)


def _shape(redactor: Redactor, text: str) -> str:
    token = next(tokens_in(text), None)
    if token is not None:
        return token.shape
    names = redactor.found(text.encode())
    return f"the value of {names[0]}" if names else ""
