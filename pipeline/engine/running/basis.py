"""What a stage's result is based on, so that a resumed run never builds on what has changed.

Three digests a stage: its part of the flow, its prompt with everything that includes, and the files
that the stages it needs have delivered. They are recorded with the result, and compared when a run
is taken up.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping

import msgspec

from pipeline.core.events import Basis
from pipeline.core.memory import Status
from pipeline.core.state import RunState
from pipeline.files.rundir import RunDir
from pipeline.files.trees import files_below
from pipeline.language.plan import Node

_INCLUDED = re.compile(r"\{%-?\s*(?:extends|include|import|from)\s+[\"']([^\"']+)[\"']")
_LENGTH = 16


class Bases:
    """Makes and compares the bases of one run's stages."""

    def __init__(self, rundir: RunDir, templates: Mapping[str, str]) -> None:
        """`templates` are the run's prompts by name."""
        self._rundir = rundir
        self._templates = templates
        self._prompts: dict[str, str] = {}
        self._delivered: dict[str, str] = {}

    def of(self, state: RunState, node: Node) -> Basis:
        """Return what a stage's result stands on now."""
        needs = [need for around in (node, *state.plan.around(node.id)) for need in around.needs]
        given = "".join(self._given(state, need) for need in needs)
        prompt = node.player.prompt if node.player is not None else ""
        return Basis(
            flow=_flow_part(node),
            prompt=self._prompt_part(prompt),
            inputs=_digest(given) if given else "",
        )

    def forget_outputs(self, stage: str) -> None:
        """Read a stage's delivered files again the next time."""
        self._delivered.pop(stage, None)

    def stale(self, state: RunState) -> dict[str, str]:
        """Name the done stages whose basis is another now, with what of it has changed."""
        stale: dict[str, str] = {}
        for node in state.plan.leaves():
            memory = state.nodes[node.id]
            if (
                memory.status is not Status.DONE
                or memory.last is None
                or not memory.last.basis.flow
            ):
                continue
            then, now = memory.last.basis, self.of(state, node)
            changed = [
                words
                for words, before, after in (
                    ("its part of the flow", then.flow, now.flow),
                    ("its prompt", then.prompt, now.prompt),
                    ("what it was given", then.inputs, now.inputs),
                )
                if before != after
            ]
            if changed:
                stale[node.id] = " and ".join(changed)
        return stale

    def _given(self, state: RunState, need: str) -> str:
        node = state.plan.nodes[need]
        stages = (
            [need]
            if node.is_leaf
            else [inner.id for inner in state.plan.below(need) if inner.is_leaf]
        )
        return "".join(self._delivered_by(stage) for stage in stages)

    def _delivered_by(self, stage: str) -> str:
        """Digest a stage's accepted files; empty when there are none."""
        if stage not in self._delivered:
            folder = self._rundir.accepted(stage)
            parts = [
                f"{name}\0{_digest((folder / name).read_bytes())}\0" for name in files_below(folder)
            ]
            self._delivered[stage] = _digest(stage + "".join(parts)) if parts else ""
        return self._delivered[stage]

    def _prompt_part(self, name: str) -> str:
        if name and name not in self._prompts:
            texts = "".join(
                f"{one}\0{self._templates[one]}\0" for one in self._with_included(name, set())
            )
            self._prompts[name] = _digest(texts)
        return self._prompts.get(name, "")

    def _with_included(self, name: str, seen: set[str]) -> Iterator[str]:
        if name in seen or name not in self._templates:
            return
        seen.add(name)
        yield name
        for other in _INCLUDED.findall(self._templates[name]):
            yield from self._with_included(other, seen)


def _flow_part(node: Node) -> str:
    """Digest what of a stage's part of the flow its result depends on.

    Budgets and time limits are not of it.
    """
    parts = (
        node.kind, node.needs, node.writes, node.reads, node.outputs, node.gates,
        node.env, node.mode, node.player, node.command,
    )  # fmt: skip
    return _digest(msgspec.json.encode(parts))


def _digest(data: str | bytes) -> str:
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    return hashlib.sha256(raw).hexdigest()[:_LENGTH]
