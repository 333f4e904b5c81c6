"""A flow: read once as one value, proven and compiled once for each content.

A flow that passed the checks is kept, compiled, in the state folder under the digest of everything
it was made of. A run of an unchanged flow takes it from there and reads no YAML.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pipeline import __version__
from pipeline.backends import table as backends
from pipeline.engine.ground.world import World
from pipeline.errors import UsageProblem
from pipeline.files import atomic
from pipeline.files.rundir import RunDir
from pipeline.files.trees import remove
from pipeline.ids import is_same_name
from pipeline.language import compiler
from pipeline.language.diagnostics import did_you_mean
from pipeline.language.flow import Flow
from pipeline.language.plan import Plan
from pipeline.prompts import templates
from pipeline.prompts.brief import NAMES
from pipeline.repo.git import Git

FLOW = "agents/flow.yaml"
PROMPTS = "agent_prompts"
CHECK = "pipeline flow check"
BUILTIN = "builtin/idea_to_feature@1"
"""What `extends` calls the shipped flow."""

_KEPT = 8
_LANGUAGE = Path(compiler.__file__).parent


class FlowSource(msgspec.Struct, frozen=True, kw_only=True):
    """A flow as it was read, once: its text, all prompt templates, and the digest of both.

    It is proven, compiled and pinned from this one value, so that an edit meanwhile changes
    nothing. `origin` says where it was read, for people.
    """

    text: str
    templates: Mapping[str, str]
    origin: str

    @property
    def digest(self) -> str:
        """Digest text and templates, so that an edited prompt is another flow."""
        parts = [self.text, *(f"{name}\0{text}" for name, text in sorted(self.templates.items()))]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class Parallel(msgspec.Struct, frozen=True, kw_only=True):
    """Whether two stages of a workflow may run at once, with every reason."""

    workflow: str
    parallel: bool
    reasons: list[str]


def read(world: World) -> FlowSource:
    """Read the flow of the checkout. Raises `UsageProblem` when there is none."""
    path = world.user.root / FLOW
    if not path.is_file():
        raise UsageProblem(
            f"{world.user.root} has no {FLOW}, which says what the stages are",
            "Write one for this repository: pipeline init",
        )
    own = templates.read_all(world.user.root / PROMPTS)
    return FlowSource(
        text=_decoded(path.read_bytes()),
        templates={**templates.read_all(world.shipped / PROMPTS), **own},
        origin="your checkout",
    )


def of_text(world: World, text: str) -> FlowSource:
    """Return a text as a flow with the shipped prompts, as `init` means it."""
    shipped = templates.read_all(world.shipped / PROMPTS)
    return FlowSource(text=text, templates=shipped, origin="a text")


def read_commit(world: World, commit: str) -> FlowSource | None:
    """Read the flow of a commit, or None when that has none."""
    git = world.user.git
    listed = git("ls-tree", "-r", "-z", "--name-only", commit, "--", FLOW, PROMPTS).split("\0")
    if FLOW not in listed:
        return None
    names = [path for path in listed if path.endswith(".j2") and path.count("/") == 1]
    blobs = _blobs(git, commit, [FLOW, *names])
    own = {path.removeprefix(f"{PROMPTS}/"): blobs[path].decode(errors="replace") for path in names}
    return FlowSource(
        text=_decoded(blobs[FLOW]),
        templates={**templates.read_all(world.shipped / PROMPTS), **own},
        origin=f"the commit {commit[:12]}",
    )


def _blobs(git: Git, commit: str, paths: Sequence[str]) -> dict[str, bytes]:
    """Read some files of a commit by one call of git."""
    stdin = "".join(f"{commit}:{path}\n" for path in paths).encode()
    rest, blobs = git.run("cat-file", "--batch", stdin=stdin).stdout, {}
    for path in paths:
        head, _, rest = rest.partition(b"\n")
        size_bytes = int(head.split()[-1])
        blobs[path], rest = rest[:size_bytes], rest[size_bytes + 1 :]
    return blobs


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        hint = f"Save it as UTF-8, then: {CHECK}"
        raise UsageProblem(f"{FLOW}:{line} is not UTF-8 text", hint) from exc


def shipped_text(world: World) -> str:
    """Read the flow that comes with this version."""
    return (world.shipped / FLOW).read_text()


def check(world: World, source: FlowSource) -> Flow:
    """Prove a flow. Raises `UsageProblem` with everything that is wrong with it."""
    from pipeline.language import flow_check, flow_file

    flow, marks = flow_file.parse(source.text, FLOW, {BUILTIN: shipped_text(world)})
    names = set(source.templates)
    flow_check.check(flow, marks, prompts=names, backends=set(backends.TABLE))
    for name, role in flow.agents.items():
        known = role.prompt in names
        wrong = list(templates.problems(source.templates, role.prompt, NAMES)) if known else []
        if wrong:
            hint = "known: " + ", ".join(NAMES)
            marks.error("F205", ("agents", name, "prompt"), "; ".join(wrong), hint)
    marks.raise_errors()
    return flow


def why_parallel(flow: Flow, one: str, other: str) -> list[Parallel]:
    """Return for each workflow that has both stages whether they may run at once.

    Raises `UsageProblem`.
    """
    from pipeline.language import graph
    from pipeline.language.flow_order import StageOrder

    answers, known = [], []
    for workflow in flow.workflows:
        order = StageOrder(flow, workflow)
        known += list(order.steps)
        names = [
            next((name for name in order.steps if is_same_name(name, word)), "")
            for word in (one, other)
        ]
        if all(names):
            parallel, reasons = graph.why_parallel(order, names[0], names[1])
            answers.append(Parallel(workflow=workflow, parallel=parallel, reasons=reasons))
    if not answers:
        missing = next(
            (word for word in (one, other) if not any(is_same_name(word, name) for name in known)),
            one,
        )
        raise UsageProblem(f"no workflow has both {one} and {other}", did_you_mean(missing, known))
    return answers


def compiled(world: World, source: FlowSource, workflow: str) -> Plan:
    """Return one workflow of a flow, compiled. Raises `UsageProblem` with what is wrong with it."""
    folder = world.repo_state / "flows" / _cache_key(world, source)
    if not folder.is_dir():
        _keep(world, folder, check(world, source))
    path = folder / f"{workflow}.json"
    known = [path.stem for path in folder.glob("*.json")]
    if workflow not in known:
        raise UsageProblem(
            f"there is no workflow {workflow!r} in {FLOW}", did_you_mean(workflow, known)
        )
    return msgspec.json.decode(path.read_bytes(), type=Plan)


def pin(source: FlowSource, rundir: RunDir, plan: Plan) -> None:
    """Keep flow, prompts and plan with the run, so that a later edit does not change it."""
    for name, template in source.templates.items():
        atomic.write_text(rundir.flow / PROMPTS / name, template, durable=False)
    atomic.write_text(rundir.flow / "flow.yaml", source.text)
    atomic.write_bytes(rundir.kept_plan, msgspec.json.encode(plan))


def _keep(world: World, folder: Path, flow: Flow) -> None:
    """Write all workflows, compiled, all or none of them; two processes may do so at once.

    Forget old contents.
    """
    making = folder.with_name(f"{folder.name}.{world.randomness(4).hex()}")
    for workflow in flow.workflows:
        plan = msgspec.json.encode(compiler.compile_plan(flow, workflow))
        atomic.write_bytes(making / f"{workflow}.json", plan, durable=False)
    try:
        making.rename(folder)
    except OSError:
        remove(making)
    others = sorted(folder.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in others[_KEPT:]:
        remove(old)


def _cache_key(world: World, source: FlowSource) -> str:
    """Digest everything a compiled flow is made of, this version's own code included."""
    code = max(path.stat().st_mtime_ns for path in _LANGUAGE.glob("*.py"))
    templates = (f"{name}\0{text}" for name, text in source.templates.items())
    parts = [__version__, str(code), source.text, shipped_text(world), *templates]
    return hashlib.sha256("\0\0".join(parts).encode()).hexdigest()[:32]
