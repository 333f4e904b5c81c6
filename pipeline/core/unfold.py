"""A foreach's items.

Found in what an earlier stage put out, and made into nodes of the run's plan.
"""

from collections.abc import Mapping

import msgspec

from pipeline.core.events import Item
from pipeline.ids import slug
from pipeline.language.compiler import STAR
from pipeline.language.expressions import Unanswerable
from pipeline.language.flow import Foreach
from pipeline.language.plan import Kind, Node, Plan


def items_of(foreach: Foreach, values: object) -> tuple[Item, ...]:
    """Give each element of a list its key. Raises `Unanswerable` when that cannot be done."""
    if not isinstance(values, list | tuple):
        raise Unanswerable(f"`{foreach.over}` is {values!r:.60}, no list")
    if len(values) > foreach.max:
        raise Unanswerable(f"{len(values)} items, and at most {foreach.max} are allowed (max)")
    items: dict[str, Item] = {}
    for number, value in enumerate(values, 1):
        key = _key(foreach, value, number)
        if key in items:
            raise Unanswerable(f"two items have the key {key!r}")
        items[key] = Item(key=key, value=value)
    return tuple(items.values())


def _key(foreach: Foreach, value: object, number: int) -> str:
    if not foreach.key:
        return str(number)
    word = value.get(foreach.key) if isinstance(value, Mapping) else None
    if not isinstance(word, str | int) or isinstance(word, bool) or not slug(str(word), ""):
        raise Unanswerable(f"item {number} has no text in {foreach.key!r} that could name it")
    return slug(str(word), "")


def unfolded(plan: Plan, foreach: Node, items: tuple[Item, ...]) -> list[Node]:
    """Make the nodes of all items, the item's own before those inside it.

    The foreach with its children first.
    """
    rename = _Rename(foreach)
    children = tuple(f"{foreach.id}:{item.key}" for item in items)
    nodes = [msgspec.structs.replace(foreach, children=children)]
    for index, item in enumerate(items):
        nodes += _item(plan, foreach, rename, index, item.key)
    return nodes


def _item(plan: Plan, foreach: Node, rename: "_Rename", index: int, key: str) -> list[Node]:
    body = plan.bodies[foreach.body]
    item_id, order = f"{foreach.id}:{key}", (*foreach.order, index)
    roots = tuple(rename(node.id, key) for node in body if node.parent == f"{foreach.body}:{STAR}")
    own = Node(
        id=item_id, kind=Kind.ITEM, workflow=foreach.workflow, order=order,
        parent=foreach.id, children=roots,
        call=foreach.call, item=item_id,
    )  # fmt: skip
    return [own, *(_copied(node, rename, key, order) for node in body)]


def _copied(node: Node, rename: "_Rename", key: str, order: tuple[int, ...]) -> Node:
    return msgspec.structs.replace(
        node,
        id=rename(node.id, key),
        order=(*order, *node.order),
        parent=rename(node.parent or "", key),
        children=tuple(rename(child, key) for child in node.children),
        needs=tuple(rename(need, key) for need in node.needs),
        refs={word: rename(target, key) for word, target in node.refs.items()},
        until=rename(node.until, key) if node.until else None,
        call=rename(node.call, key) if node.call else "",
        item=rename(node.item, key) if node.item else "",
    )


class _Rename:
    """Replaces the stars in the ids of a foreach's body by keys, an outer foreach's included."""

    def __init__(self, foreach: Node) -> None:
        self._foreach = foreach
        self._around: list[tuple[str, str]] = []
        starred, real = foreach.body, foreach.id
        while f":{STAR}:" in starred:
            starred, _, tail = starred.rpartition(f":{STAR}:")
            real = real[: -len(tail) - 1]
            self._around.append((f"{starred}:{STAR}", real))
            real = real.rpartition(":")[0]

    def __call__(self, node_id: str, key: str) -> str:
        for old, new in [
            (f"{self._foreach.body}:{STAR}", f"{self._foreach.id}:{key}"),
            *self._around,
        ]:
            if node_id == old or node_id.startswith(f"{old}:"):
                return new + node_id[len(old) :]
        return node_id
