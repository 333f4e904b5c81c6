"""Compile a checked `Flow` into a `Plan`.

Names become ids, defaults are filled in, and called workflows are put where they are called.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from operator import attrgetter

import msgspec

from pipeline.ids import is_same_name
from pipeline.language import expressions, globs, placeholders
from pipeline.language.flow import CONTINUE, FAIL, Flow, Lock, Loop, May, Stage, StageLimits
from pipeline.language.plan import Kind, Node, Plan, Player
from pipeline.language.target import Target
from pipeline.language.words import Glob, Template

STAR = "*"
"""Stands for an item's key in the ids of a foreach's body."""

_KINDS = {
    "agent": Kind.AGENT, "run": Kind.RUN, "parallel": Kind.PARALLEL, "loop": Kind.LOOP,
    "foreach": Kind.FOREACH, "workflow": Kind.WORKFLOW,
    "approval": Kind.APPROVAL, "publish": Kind.PUBLISH,
}  # fmt: skip
KIND_KEYS = tuple(_KINDS)
"""The keys that set a stage's kind; a stage has exactly one of them."""


def kind_of(stage: Stage) -> Kind:
    """Return a stage's kind; the checks make sure that exactly one key sets it."""
    return next((kind for key, kind in _KINDS.items() if getattr(stage, key) is not None), Kind.RUN)


def body_of(stage: Stage) -> tuple[str, Mapping[str, Stage]] | None:
    """Return the stages inside a group, with the key that holds them.

    None for a stage that is not a group.
    """
    if stage.parallel is not None:
        return "parallel", stage.parallel
    return None if stage.stages is None else ("stages", stage.stages)


def until_stage(loop: Loop) -> str:
    """Return the stage that a loop's `until: STAGE.passed` names."""
    return loop.until.removesuffix(".passed").strip()


def follow_ups(stages: Mapping[str, Stage]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the workflows that start when a stage has failed for good, with the path of the key."""
    for name, stage in stages.items():
        if stage.on_failure not in {FAIL, CONTINUE}:
            yield (name, "on_failure"), stage.on_failure
        if stage.loop is not None and stage.loop.on_exhausted != FAIL:
            yield (name, "loop", "on_exhausted"), stage.loop.on_exhausted
        if inner := body_of(stage):
            yield from (((name, inner[0], *path), word) for path, word in follow_ups(inner[1]))


def compile_plan(flow: Flow, workflow: str) -> Plan:
    """Compile a workflow and those that it can start; the flow must have passed the checks."""
    flow = msgspec.structs.replace(flow, targets=tuple(map(_without_overlap, flow.targets)))
    nodes: dict[str, Node] = {}
    bodies: dict[str, tuple[Node, ...]] = {}
    roots: dict[str, tuple[str, ...]] = {}
    waiting = [workflow]
    while waiting:
        name = waiting.pop(0)
        if name in roots:
            continue
        compiler = _Compiler(flow, name, nodes, bodies)
        stages, prefix = flow.workflows[name].stages, "" if name == workflow else f"{name}:"
        roots[name] = compiler.add_all(stages, _Place(prefix=prefix, ids=ids_of(stages, prefix)))
        waiting += compiler.follow_ups
    return Plan(
        workflow=workflow,
        nodes=nodes,
        roots=roots,
        locks={name: expand_lock(flow, lock) for name, lock in flow.locks.items()},
        targets=flow.targets,
        records=flow.records,
        parallel=flow.limits.parallel,
        bodies=bodies,
        inputs={name: flow.workflows[name].inputs for name in roots},
        usd=flow.limits.usd,
        tokens=flow.limits.tokens,
        wall_s=flow.limits.wall_s,
        workspace=flow.workspace,
    )


def _without_overlap(target: Target) -> Target:
    """Exclude tests and documents from a target's source, and its `exclude` from all of them."""
    others = (*target.tests, *target.docs, *target.exclude)
    source = tuple(Glob(globs.but_not(glob, others)) for glob in target.source)
    docs = tuple(
        Glob(globs.but_not(glob, (*target.tests, *target.exclude))) for glob in target.docs
    )
    tests = tuple(Glob(globs.but_not(glob, target.exclude)) for glob in target.tests)
    return msgspec.structs.replace(target, source=source, tests=tests, docs=docs, exclude=())


def expand_lock(flow: Flow, lock: Lock) -> Lock:
    """Replace `{{ source }}`, `{{ tests }}` and `{{ docs }}` with the targets' paths."""
    return Lock(paths=expand_globs(flow.targets, lock.paths), scope=lock.scope)


def expand_globs(targets: Sequence[Target], patterns: tuple[Glob, ...]) -> tuple[Glob, ...]:
    """Replace `{{ source }}`, `{{ tests }}` and `{{ TARGET.source }}` with the targets' paths."""
    known = glob_words(targets)
    out: list[Glob] = []
    for pattern in patterns:
        name = (
            pattern.removeprefix("{{").removesuffix("}}").strip()
            if pattern.startswith("{{")
            else ""
        )
        out += known.get(name, [pattern])
    return tuple(out)


def glob_words(targets: Sequence[Target]) -> dict[str, list[Glob]]:
    """Return the names that can stand for paths, with their paths."""
    separate = [_without_overlap(target) for target in targets]
    known: dict[str, list[Glob]] = {}
    for word in ("source", "tests", "docs"):
        known[word] = [glob for target in separate for glob in attrgetter(word)(target)]
        known.update(
            {f"{target.name}.{word}": list(attrgetter(word)(target)) for target in separate}
        )
    return known


def writes_of(flow: Flow, stage: Stage) -> tuple[Glob, ...]:
    """Return the paths that a stage may write: those of its locks and its own."""
    held = [glob for lock in stage.lock if lock in flow.locks for glob in flow.locks[lock].paths]
    return expand_globs(flow.targets, (*held, *stage.writes))


def ids_of(stages: Mapping[str, Stage], prefix: str) -> dict[str, str]:
    """Return the id of every stage of a workflow by its name, including those inside groups.

    Names are unique in a workflow.
    """
    ids: dict[str, str] = {}
    for name, stage in stages.items():
        ids[name] = prefix + name
        if inner := body_of(stage):
            ids.update(ids_of(inner[1], f"{prefix}{name}:{STAR}:" if stage.foreach else prefix))
    return ids


def named(word: str, names: Collection[str]) -> str | None:
    """Return the name that a word of an expression means; `-` and `_` are alike."""
    return (
        word if word in names else next((name for name in names if is_same_name(name, word)), None)
    )


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where stages are added: under which prefix and parent, in which call and item.

    `ids` has the ids of their whole workflow.
    """

    prefix: str
    ids: Mapping[str, str]
    parent: str | None = None
    call: str = ""
    item: str = ""


class _Compiler:
    """Adds the stages of one workflow to the table of nodes."""

    def __init__(
        self, flow: Flow, workflow: str, nodes: dict[str, Node], bodies: dict[str, tuple[Node, ...]]
    ) -> None:
        self.flow = flow
        self.workflow = workflow
        self.nodes = nodes
        self.bodies = bodies
        self.follow_ups: list[str] = []
        self.defaults = flow.defaults

    def add_all(self, stages: Mapping[str, Stage], place: _Place) -> tuple[str, ...]:
        return tuple(self._add(name, stage, place) for name, stage in stages.items())

    def _add(self, name: str, stage: Stage, place: _Place) -> str:
        node_id = place.prefix + name
        kind = kind_of(stage)
        order = (len(self.nodes),)
        self.nodes[node_id] = Node(id=node_id, kind=kind, workflow=self.workflow, order=order)
        children, body = self._inside(stage, kind, node_id, place)
        # The stages inside a group report their own follow-ups when they are added.
        alone = msgspec.structs.replace(stage, parallel=None, stages=None)
        self.follow_ups += [word for _, word in follow_ups({name: alone})]
        writes = writes_of(self.flow, stage)
        loop = stage.loop
        self.nodes[node_id] = Node(
            id=node_id,
            kind=kind,
            workflow=self.workflow,
            order=order,
            parent=place.parent,
            children=children,
            needs=tuple(place.prefix + need for need in stage.needs),
            when=stage.when,
            refs=self._refs(stage, place),
            locks=tuple(sorted(stage.lock)),
            writes=writes,
            reads=self._reads(stage, writes),
            may=stage.may,
            must_change=self._must_change(stage),
            outputs=stage.outputs,
            gates=stage.gates,
            gates_first=stage.gates_first,
            retry=stage.retry or self.defaults.retry,
            on_failure=stage.on_failure,
            timeout_s=stage.timeout_s or self.defaults.timeout_s,
            idle_timeout_s=stage.idle_timeout_s or self.defaults.idle_timeout_s,
            limits=self._limits(stage),
            env=stage.env,
            inputs=self._inputs(stage),
            mode=stage.mode,
            player=self._player(stage),
            command=stage.run or "",
            loop=loop,
            until=place.prefix + until_stage(loop) if loop else None,
            foreach=stage.foreach,
            body=body,
            approval=stage.approval,
            publish=stage.publish,
            call=place.call,
            item=place.item,
        )
        return node_id

    def _reads(self, stage: Stage, writes: tuple[Glob, ...]) -> tuple[Glob, ...] | None:
        """Return the paths in a stage's workspace (None for all), always with what it may write."""
        if stage.reads is None:
            return None
        return (*expand_globs(self.flow.targets, stage.reads), *writes)

    def _must_change(self, stage: Stage) -> bool:
        """Return whether it is a failure when the stage changes nothing: an agent with a lock."""
        held = (self.flow.locks[lock] for lock in stage.lock)
        return (
            stage.agent is not None
            and May.LEAVE not in stage.may
            and any(lock.paths for lock in held)
        )

    def _inside(
        self, stage: Stage, kind: Kind, node_id: str, place: _Place
    ) -> tuple[tuple[str, ...], str]:
        """Add what is inside a group; return its children, or the body's name of a foreach."""
        if kind is Kind.WORKFLOW:
            called, prefix = self.flow.workflows[str(stage.workflow)].stages, f"{node_id}:"
            ids = ids_of(called, prefix)
            return self.add_all(
                called,
                _Place(prefix=prefix, ids=ids, parent=node_id, call=node_id, item=place.item),
            ), ""
        if kind is Kind.FOREACH:
            self.bodies[node_id] = self._body(stage.stages or {}, node_id, place)
            return (), node_id
        inner = body_of(stage)
        return self.add_all(
            inner[1], msgspec.structs.replace(place, parent=node_id)
        ) if inner else (), ""

    def _body(self, stages: Mapping[str, Stage], node_id: str, place: _Place) -> tuple[Node, ...]:
        """Compile a foreach's stages into a table of their own, with `*` for the item's key."""
        item = f"{node_id}:{STAR}"
        separate = _Compiler(self.flow, self.workflow, {}, self.bodies)
        separate.add_all(
            stages, msgspec.structs.replace(place, prefix=f"{item}:", parent=item, item=item)
        )
        self.follow_ups += separate.follow_ups
        return tuple(separate.nodes.values())

    def _refs(self, stage: Stage, place: _Place) -> dict[str, str]:
        texts = [text for text in (stage.when, stage.foreach.over if stage.foreach else "") if text]
        words = {name[0] for text in texts for name, _ in expressions.names(text)}
        questions = [stage.approval.ask] if stage.approval else []
        filled = [*stage.env.values(), *stage.inputs.values(), *questions]
        words |= {
            word.partition(".")[0] for text in filled for word, _ in placeholders.places(text)
        }
        return {word: place.ids[name] for word in sorted(words) if (name := named(word, place.ids))}

    def _inputs(self, stage: Stage) -> dict[str, Template]:
        """Return a called workflow's inputs: those given, and the defaults of the others."""
        if stage.workflow is None:
            return {}
        wanted = self.flow.workflows[stage.workflow].inputs
        return {
            name: Template(declared.default) for name, declared in wanted.items()
        } | stage.inputs

    def _limits(self, stage: Stage) -> StageLimits:
        own, default = stage.limits or StageLimits(), self.defaults.limits
        if stage.agent is None:
            return own
        return StageLimits(
            usd=default.usd if own.usd is None else own.usd,
            tokens=default.tokens if own.tokens is None else own.tokens,
        )

    def _player(self, stage: Stage) -> Player | None:
        if stage.agent is None:
            return None
        role, defaults = self.flow.agents[stage.agent], self.flow.defaults
        return Player(
            role=stage.agent,
            backend=role.backend or defaults.backend,
            command=defaults.command if role.command is None else role.command,
            model=defaults.model if role.model is None else role.model,
            prompt=role.prompt,
            pass_env=defaults.pass_env if role.pass_env is None else role.pass_env,
        )
