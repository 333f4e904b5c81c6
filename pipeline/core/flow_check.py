"""What must hold between the parts of a flow before anything runs: names, graph, writers.

Each check adds to `Source.complaints`, so that a person sees all of them at once.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from pipeline.core import globs
from pipeline.core.diagnostics import did_you_mean
from pipeline.core.flow import Flow, GateName, Stage
from pipeline.core.flow_file import Path, Source
from pipeline.core.plan import FAIL, Kind, expand_globs, expand_lock, kind_of, until_stage

_SECRETS = ("GH_TOKEN", "GITHUB_TOKEN", "GITLAB_TOKEN", "SSH_AUTH_SOCK", "GIT_ASKPASS")
_KINDS = ("agent", "run", "parallel", "loop", "publish")
_TESTED = {GateName.RED, GateName.GREEN, GateName.PROOF}


def check(flow: Flow, source: Source, *, prompts: Collection[str], backends: Collection[str]) -> None:
    """Check the whole flow; `prompts` are the template names there are. Raises all complaints at once."""
    _check_words(flow, source, prompts, backends)
    for name, workflow in flow.workflows.items():
        path: Path = ("workflows", name, "stages")
        seen: dict[str, Path] = {}
        if not workflow.stages:
            source.complain("F111", ("workflows", name), f"the workflow {name} has no stage")
        _check_stages(flow, source, workflow.stages, path, seen)
    for name, trigger in flow.triggers.items():
        _known(source, ("triggers", name, "workflow"), trigger.workflow, flow.workflows, "workflow")
    source.raise_complaints()
    for name, workflow in flow.workflows.items():
        _check_writers(flow, source, workflow.stages, ("workflows", name, "stages"))
    source.raise_complaints()


def _check_words(flow: Flow, source: Source, prompts: Collection[str], backends: Collection[str]) -> None:
    if not flow.targets:
        mend = "write one: - {name: app, source: [src/**], tests: [tests/**], test: python -m pytest -q}"
        source.complain("F111", ("targets",), "no target: nothing says what is tested, or how", mend)
    _known(source, ("defaults", "backend"), flow.defaults.backend, backends, "back end")
    _check_pass_env(source, ("defaults", "pass_env"), flow.defaults.pass_env)
    for name, role in flow.agents.items():
        path: Path = ("agents", name)
        _known(source, (*path, "prompt"), role.prompt, prompts, "prompt file", "F206")
        if role.backend:
            _known(source, (*path, "backend"), role.backend, backends, "back end")
        _check_pass_env(source, (*path, "pass_env"), role.pass_env or ())
    if flow.limits.parallel < 1:
        source.complain("F114", ("limits", "parallel"), "at least one stage must be able to run")


def _check_pass_env(source: Source, path: Path, names: Iterable[str]) -> None:
    for index, name in enumerate(names):
        prefix = name.removesuffix("*")
        reaches = (secret.startswith(prefix) if name.endswith("*") else secret == name for secret in _SECRETS)
        if any(reaches) or name.startswith("GIT_") or (name.endswith("*") and "GIT_".startswith(prefix)):
            source.complain(
                "F213",
                (*path, index),
                f"{name} would hand an agent what publishing needs",
                "agents hold no push credential: remove it; only the engine publishes",
            )


def _check_stages(flow: Flow, source: Source, stages: Mapping[str, Stage], path: Path, seen: dict[str, Path]) -> None:
    for name, stage in stages.items():
        here: Path = (*path, name)
        if name in seen:
            mend = "stage names are unique in a workflow, also inside groups and loops"
            source.complain(
                "F212", here, f"a stage {name!r} stands on line {source.mark(seen[name]).line} already", mend
            )
        seen[name] = here
        _check_stage(flow, source, stage, here)
        for need in stage.needs:
            index = stage.needs.index(need)
            _known(source, (*here, "needs", index), need, stages, "stage beside this one")
        inner = stage.parallel if stage.parallel is not None else stage.stages
        if inner is not None:
            _check_stages(flow, source, inner, (*here, "parallel" if stage.parallel is not None else "stages"), seen)
    _check_cycles(source, stages, path)


def _check_stage(flow: Flow, source: Source, stage: Stage, here: Path) -> None:
    kinds = [kind for kind in _KINDS if getattr(stage, kind) is not None]
    if len(kinds) != 1:
        found = "has none" if not kinds else "has " + " and ".join(kinds)
        source.complain("F209", here, f"a stage is one of {', '.join(_KINDS)}; {here[-1]} {found}")
        return
    if stage.agent is not None:
        _known(source, (*here, "agent"), stage.agent, flow.agents, "agent role")
    for index, lock in enumerate(stage.lock):
        _known(source, (*here, "lock", index), lock, flow.locks, "lock")
    if stage.loop is not None:
        _check_loop(flow, source, stage, here)
    if stage.stages is not None and stage.loop is None:
        source.complain(
            "F209", (*here, "stages"), "only a loop has `stages`", "add loop: {max: 3, until: STAGE.passed}"
        )
    _check_group(source, stage, here)


def _check_group(source: Source, stage: Stage, here: Path) -> None:
    """Refuse what a group or loop cannot have: nothing inside, or what only its stages have."""
    if kind_of(stage) in {Kind.PARALLEL, Kind.LOOP}:
        if stage.parallel is not None and not stage.parallel:
            source.complain("F111", here, f"the group {here[-1]} has no stage")
        if stage.loop is not None and stage.gates:
            source.complain("F207", (*here, "gates"), "a loop has no gates; the stage that its `until` names has")
        own = [key for key in ("writes", "lock", "outputs") if getattr(stage, key)]
        for key in own:
            source.complain("F209", (*here, key), f"a group has no {key}; its stages have")
    if _TESTED & set(stage.gates) and kind_of(stage) in {Kind.PARALLEL, Kind.PUBLISH}:
        source.complain("F207", (*here, "gates"), "test gates belong to an agent or run stage")


def _check_loop(flow: Flow, source: Source, stage: Stage, here: Path) -> None:
    loop = stage.loop
    if loop is None:
        return
    if not stage.stages:
        source.complain("F111", here, "a loop needs `stages`", "put its stages below `stages:`")
        return
    name = until_stage(loop)
    if not loop.until.endswith(".passed") or name not in stage.stages:
        mend = did_you_mean(name, stage.stages)
        source.complain("F208", (*here, "loop", "until"), "`until` is STAGE.passed, with a stage of this loop", mend)
    elif not stage.stages[name].gates and kind_of(stage.stages[name]) is not Kind.LOOP:
        mend = f"give {name} gates: [...]; a loop never ends on an agent's word"
        source.complain("F208", (*here, "loop", "until"), f"{name} has no gates, so nothing decides", mend)
    if loop.max < 1 or loop.no_progress < 1:
        source.complain("F114", (*here, "loop"), "max and no_progress are at least 1")
    if loop.on_exhausted != FAIL:
        _known(source, (*here, "loop", "on_exhausted"), loop.on_exhausted, flow.workflows, "workflow")


def _check_cycles(source: Source, stages: Mapping[str, Stage], path: Path) -> None:
    graph = {name: [need for need in stage.needs if need in stages] for name, stage in stages.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        ring = list(reversed(exc.args[1]))
        message = "these stages wait for each other: " + " -> ".join(ring)
        source.complain("F202", (*path, ring[0], "needs"), message, "take one of these `needs` away")


def _check_writers(flow: Flow, source: Source, stages: Mapping[str, Stage], path: Path) -> None:
    """Refuse two stages that may run at once, write overlapping paths and share no lock."""
    writers: list[tuple[int, Path, Stage, tuple[str, ...]]] = []
    before = _Before()
    before.add_all(
        stages, path, 0, lambda index, here, stage: writers.append((index, here, stage, _writes(flow, stage)))
    )
    for place, (index, here, stage, writes) in enumerate(writers):
        for other_index, other_here, other, other_writes in writers[:place]:
            if not writes or not other_writes or set(stage.lock) & set(other.lock):
                continue
            if before.orders(index, other_index):
                continue
            if example := globs.overlap(writes, other_writes):
                source.complain(
                    "F203",
                    here,
                    f"{here[-1]} and {other_here[-1]} may run at once, and both may write {example}",
                    f"let one need the other, give both the same lock, or part their paths "
                    f"({other_here[-1]} stands on line {source.mark(other_here).line})",
                )


def _writes(flow: Flow, stage: Stage) -> tuple[str, ...]:
    held = [glob for lock in stage.lock for glob in expand_lock(flow, flow.locks[lock]).paths]
    return (*held, *expand_globs(flow, stage.writes))


class _Before:
    """For every leaf, as a bit set, the leaves that must be done before it starts."""

    def __init__(self) -> None:
        self._before: list[int] = []

    def orders(self, one: int, other: int) -> bool:
        return bool(self._before[one] >> other & 1 or self._before[other] >> one & 1)

    def add_all(
        self, stages: Mapping[str, Stage], path: Path, outer: int, leaf: Callable[[int, Path, Stage], None]
    ) -> int:
        """Number the leaves below `stages`; return the set of all of them."""
        order = TopologicalSorter({name: list(stage.needs) for name, stage in stages.items()}).static_order()
        done: dict[str, int] = {}
        everything = 0
        for name in order:
            stage = stages[name]
            here = (*path, name)
            first = outer
            for need in stage.needs:
                first |= done[need]
            inner = stage.parallel if stage.parallel is not None else stage.stages
            if inner is None:
                index = len(self._before)
                self._before.append(first)
                leaf(index, here, stage)
                own = 1 << index
            else:
                key = "parallel" if stage.parallel is not None else "stages"
                own = self.add_all(inner, (*here, key), first, leaf)
            done[name] = own | first
            everything |= own
        return everything


def _known(
    source: Source, path: Path, word: str, known: Collection[str] | Mapping[str, object], what: str, code: str = "F201"
) -> None:
    if word not in known:
        source.complain(code, path, f"there is no {what} {word!r}", did_you_mean(word, known))
