"""Which stages of a workflow may run at once, and whether two of those may write the same path."""

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from pipeline.language import globs
from pipeline.language.compiler import STAR, body_of, follow_ups, writes_of
from pipeline.language.flow import Flow, Stage
from pipeline.language.flow_source import Path, Source


class OrderedStage(msgspec.Struct, frozen=True, kw_only=True):
    """A stage or group in the order of a workflow.

    `before` is the set of what is over when it starts, as the bits of the steps' `index`; `each`
    are the foreach stages it is inside of, `loops` the loops.
    """

    id: str
    index: int
    path: Path
    stage: Stage
    before: int
    each: tuple[str, ...]
    loops: tuple[str, ...]
    writes: tuple[str, ...]


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where stages are added: see `OrderedStage`."""

    path: Path
    prefix: str = ""
    before: int = 0
    each: tuple[str, ...] = ()
    loops: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()


class StageOrder:
    """The order of one workflow's stages, including those of called workflows.

    Of stages that wait for each other, one does not wait; a workflow that starts itself again does
    not. Of stages with one name, `steps` has the last.
    """

    def __init__(self, flow: Flow, workflow: str) -> None:
        """Walk the workflow once."""
        self.steps: dict[str, OrderedStage] = {}
        self._all: list[OrderedStage] = []
        self._flow = flow
        place = _Place(path=("workflows", workflow, "stages"), calls=(workflow,))
        self._add_all(flow.workflows[workflow].stages, place)

    def is_before(self, one: str, other: str) -> bool:
        """Return whether `one` is always over when `other` starts."""
        return bool(self.steps[other].before >> self.steps[one].index & 1)

    def conflict(self, one: OrderedStage, other: OrderedStage) -> str | None:
        """Return a path that both may write at once, or None."""
        if not one.writes or not other.writes or set(one.stage.lock) & set(other.stage.lock):
            return None
        same_items = bool(set(one.each) & set(other.each))
        ordered = bool(other.before >> one.index & 1 or one.before >> other.index & 1)
        if (ordered or one is other) and not same_items:
            return None
        return globs.overlap(one.writes, other.writes)

    def conflicts(self) -> Iterator[tuple[OrderedStage, OrderedStage, str]]:
        """Yield all pairs of stages that may write a path at once, with an example path."""
        writers = [step for step in self._all if step.writes]
        for place, step in enumerate(writers):
            for other in writers[: place + 1]:
                if example := self.conflict(other, step):
                    yield other, step, example

    def _add_all(self, stages: Mapping[str, Stage], place: _Place) -> int:
        """Add the steps of `stages`; return the set of all of them."""
        graph = {
            name: [need for need in stage.needs if need in stages] for name, stage in stages.items()
        }
        done: dict[str, int] = {}
        everything = 0
        for name in _order(graph):
            first = place.before
            for need in graph[name]:
                first |= done.get(need, 0)
            own = self._add(name, stages[name], replace(place, before=first))
            done[name] = own | first
            everything |= own
        return everything

    def _add(self, name: str, stage: Stage, place: _Place) -> int:
        prefix = place.prefix
        step_id, index = prefix + name, len(self._all)
        is_called = prefix.endswith(":") and not prefix.endswith(f":{STAR}:")
        here = place.path if is_called else (*place.path, name)
        self.steps[step_id] = OrderedStage(
            id=step_id, index=index, path=here, stage=stage, before=place.before,
            each=place.each, loops=place.loops, writes=writes_of(self._flow, stage),
        )  # fmt: skip
        self._all.append(self.steps[step_id])
        own = 1 << index
        called_name = stage.workflow or ""
        if called_name in self._flow.workflows and called_name not in place.calls:
            called = self._flow.workflows[called_name].stages
            calls = (*place.calls, called_name)
            inside = replace(place, path=here, prefix=f"{step_id}:", loops=(), calls=calls)
            return own | self._add_all(called, inside)
        if inner := body_of(stage):
            key, stages = inner
            inside = replace(
                place,
                path=(*here, key),
                prefix=f"{step_id}:{STAR}:" if stage.foreach else prefix,
                each=(*place.each, step_id) if stage.foreach else place.each,
                loops=(*place.loops, step_id) if stage.loop else place.loops,
            )
            return own | self._add_all(stages, inside)
        return own


def _order(graph: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the names in an order in which each comes after its needs, where there is one."""
    remaining = {name: list(needs) for name, needs in graph.items()}
    while True:
        try:
            order = list(TopologicalSorter(remaining).static_order())
        except CycleError as exc:
            # The ring says each one's successor: [a, b, a] means that b needs a.
            first, second = exc.args[1][:2]
            remaining[second].remove(first)
        else:
            yield from order
            return


def check_cycles(source: Source, stages: Mapping[str, Stage], path: Path) -> bool:
    """Report stages that wait for each other, also inside groups.

    Return whether there are none.
    """
    graph = {
        name: [need for need in stage.needs if need in stages] for name, stage in stages.items()
    }
    sound = _is_sound(source, graph, "these stages wait for each other", path)
    for name, stage in stages.items():
        if inner := body_of(stage):
            sound = check_cycles(source, inner[1], (*path, name, inner[0])) and sound
    return sound


def _is_sound(
    source: Source,
    graph: Mapping[str, Sequence[str]],
    what: str,
    path: Path,
    places: Mapping[tuple[str, str], Path] = MappingProxyType({}),
) -> bool:
    """Report every cycle; each is then broken where it was reported, to find the next one."""
    remaining = {name: list(needs) for name, needs in graph.items()}
    for _ in remaining:
        try:
            TopologicalSorter(remaining).prepare()
        except CycleError as exc:
            ring = list(reversed(exc.args[1]))
            usual = (*path, ring[0], "needs") if path else ("workflows", ring[0])
            where = places.get((ring[0], ring[1]), usual)
            hint = "remove one of these `needs`" if path else "a workflow cannot start itself again"
            source.error("F202", where, f"{what}: " + " -> ".join(ring), hint)
            remaining[ring[0]] = []
        else:
            break
    return remaining == {name: list(needs) for name, needs in graph.items()}


def check_calls(flow: Flow, source: Source) -> bool:
    """Report workflows that start themselves again, directly or through others.

    Return whether there are none.
    """
    graph = {
        name: [
            word
            for word in (
                *(called for _, called in _calls(workflow.stages)),
                *(other for _, other in follow_ups(workflow.stages)),
            )
            if word in flow.workflows
        ]
        for name, workflow in flow.workflows.items()
    }
    places = {
        (name, word): ("workflows", name, "stages", *path)
        for name, workflow in flow.workflows.items()
        for path, word in (*follow_ups(workflow.stages), *_calls(workflow.stages))
    }
    return _is_sound(source, graph, "these workflows start each other in a cycle", (), places)


def _calls(stages: Mapping[str, Stage]) -> Iterator[tuple[Path, str]]:
    """Yield the workflows that stages are, each with the path of its name."""
    for name, stage in stages.items():
        if stage.workflow is not None:
            yield (name, "workflow"), stage.workflow
        if inner := body_of(stage):
            yield from (((name, inner[0], *path), word) for path, word in _calls(inner[1]))


def check_writers(source: Source, order: StageOrder) -> None:
    """Report two stages that may run at once, write overlapping paths and share no lock."""
    for one, other, example in order.conflicts():
        if one is other:
            name = other.id.rpartition(":")[2]
            message = f"{name} runs for several items at once, and each may write {example}"
            source.error("F203", other.path, message, "give it a lock for these paths")
            continue
        line = source.mark(one.path).line
        source.error(
            "F203",
            other.path,
            f"{other.id} and {one.id} may run at once, and both may write {example}",
            "let one need the other, give both the same lock, or separate their paths "
            f"({one.id} is on line {line})",
        )
