"""Stages that could start, kept so that finding the next one costs no more than what changed.

They stand in declared order, one list for each set of locks that others want too: a decision looks
at the heads of these lists, never at all the stages that wait behind one lock.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from heapq import heapify, heappop, heappush

import msgspec

from pipeline.language.plan import Node, Plan

Place = tuple[tuple[int, ...], str]


class Ready(msgspec.Struct):
    """The ready stages of a run; `later` are those that wait for their time."""

    shared: frozenset[str]
    lists: dict[tuple[str, ...], list[Place]] = {}
    later: dict[str, tuple[Place, tuple[str, ...]]] = {}

    def _key(self, node: Node) -> tuple[str, ...]:
        return tuple(lock for lock in node.locks if lock in self.shared)

    def add(self, node: Node, *, later: bool) -> None:
        """Take in a stage; `later` when it has to wait for its time, or was parked."""
        place = (node.order, node.id)
        if later:
            self.later[node.id] = (place, self._key(node))
        elif node not in self:
            insort(self.lists.setdefault(self._key(node), []), place)

    def remove(self, node: Node) -> None:
        """Take a stage out, if it is in."""
        self.later.pop(node.id, None)
        places = self.lists.get(self._key(node), [])
        index = bisect_left(places, (node.order, node.id))
        if index < len(places) and places[index][1] == node.id:
            del places[index]

    def __contains__(self, node: Node) -> bool:
        places = self.lists.get(self._key(node), [])
        index = bisect_left(places, (node.order, node.id))
        return node.id in self.later or (index < len(places) and places[index][1] == node.id)

    def __bool__(self) -> bool:
        return bool(self.later) or any(self.lists.values())

    def clear(self) -> None:
        """Forget all stages."""
        self.lists.clear()
        self.later.clear()

    def in_order(self, due: AbstractSet[str], held: AbstractSet[str]) -> Iterator[str]:
        """Go through the stages in declared order, those of `later` only when `due`.

        `held` are the locks that are taken; it may grow while this goes on, and then counts at
        once.
        """
        heads = [
            (places[0], 0, key)
            for key, places in self.lists.items()
            if places and held.isdisjoint(key)
        ]
        heads += [(place, -1, key) for name, (place, key) in self.later.items() if name in due]
        heapify(heads)
        while heads:
            place, index, key = heappop(heads)
            if not held.isdisjoint(key):
                continue
            yield place[1]
            places = self.lists[key] if index >= 0 else []
            if index >= 0 and index + 1 < len(places):
                heappush(heads, (places[index + 1], index + 1, key))


def ready_of(plan: Plan) -> Ready:
    """Start with nothing; locks that only one stage wants never keep another waiting."""
    wanted = Counter(lock for node in plan.nodes.values() for lock in node.locks)
    for nodes in plan.bodies.values():
        wanted.update(lock for node in nodes for lock in (*node.locks, *node.locks))
    return Ready(frozenset(lock for lock, count in wanted.items() if count > 1), {}, {})
