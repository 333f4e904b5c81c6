"""The checkout's flow: read, proven and compiled once for each content.

A flow that passed the checks is kept, compiled, in the state folder under the digest of everything
it was made of. A run of an unchanged flow takes it from there and reads no YAML.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pipeline import __version__, backends, prompts
from pipeline.engine.world import World
from pipeline.errors import UsageProblem
from pipeline.files import atomic
from pipeline.files.rundir import RunDir
from pipeline.files.trees import remove
from pipeline.ids import same_name
from pipeline.language import compiler
from pipeline.language.diagnostics import did_you_mean
from pipeline.language.flow import Flow
from pipeline.language.plan import Plan
from pipeline.prompts.brief import NAMES

FLOW = "agents/flow.yaml"
PROMPTS = "agent_prompts"
CHECK = "pipeline flow check"
BUILTIN = "builtin/idea_to_feature@1"
"""What `extends` calls the shipped flow."""

_KEPT = 8
_LANGUAGE = Path(compiler.__file__).parent


class Checked(msgspec.Struct, frozen=True):
    """A flow that passed every check, with its text and its digest."""

    flow: Flow
    text: str
    digest: str


class Parallel(msgspec.Struct, frozen=True, kw_only=True):
    """Whether two stages of a workflow may run at once, with every reason."""

    workflow: str
    parallel: bool
    reasons: list[str]


def read_text(world: World) -> str:
    """Read the checkout's flow file. Raises `UsageProblem` when there is none."""
    path = world.user.root / FLOW
    if not path.is_file():
        raise UsageProblem(
            f"{world.user.root} has no {FLOW}, which says what the stages are",
            "Write one for this repository: pipeline init",
        )
    data = path.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        raise UsageProblem(
            f"{FLOW}:{line} is not UTF-8 text", f"Save it as UTF-8, then: {CHECK}"
        ) from exc


def shipped_text(world: World) -> str:
    """Read the flow that comes with this version."""
    return (world.shipped / FLOW).read_text()


def prompt_texts(world: World) -> dict[str, str]:
    """Return the prompt templates by name.

    The shipped ones, and the checkout's own in their place.
    """
    return {
        **prompts.read_all(world.shipped / PROMPTS),
        **prompts.read_all(world.user.root / PROMPTS),
    }


def check(world: World) -> Checked:
    """Read and prove the checkout's flow. Raises `UsageProblem` with every complaint."""
    from pipeline.language import flow_check, flow_file

    text, templates = read_text(world), prompt_texts(world)
    flow, source = flow_file.parse(text, FLOW, {BUILTIN: shipped_text(world)})
    flow_check.check(flow, source, prompts=set(templates), backends=set(backends.TABLE))
    for name, role in flow.agents.items():
        found = (
            list(prompts.complaints(templates, role.prompt, NAMES))
            if role.prompt in templates
            else []
        )
        if found:
            mend = "known: " + ", ".join(NAMES)
            source.error("F205", ("agents", name, "prompt"), "; ".join(found), mend)
    source.raise_errors()
    return Checked(flow, text, _digest(world, text, templates))


def why_parallel(flow: Flow, one: str, other: str) -> list[Parallel]:
    """Say for every workflow that has both stages whether they may run at once.

    Raises `UsageProblem`.
    """
    from pipeline.language import graph
    from pipeline.language.flow_order import StageOrder

    answers, known = [], []
    for workflow in flow.workflows:
        order = StageOrder(flow, workflow)
        known += list(order.steps)
        names = [
            next((name for name in order.steps if same_name(name, word)), "")
            for word in (one, other)
        ]
        if all(names):
            parallel, reasons = graph.why_parallel(order, names[0], names[1])
            answers.append(Parallel(workflow=workflow, parallel=parallel, reasons=reasons))
    if not answers:
        missing = next(
            (word for word in (one, other) if not any(same_name(word, name) for name in known)), one
        )
        raise UsageProblem(f"no workflow has both {one} and {other}", did_you_mean(missing, known))
    return answers


def compiled(world: World, workflow: str) -> Plan:
    """Return one workflow of the checkout's flow, compiled. Raises `UsageProblem`."""
    folder = world.repo_state / "flows" / _digest(world, read_text(world), prompt_texts(world))
    if not folder.is_dir():
        _keep(world, folder, check(world).flow)
    path = folder / f"{workflow}.json"
    known = [path.stem for path in folder.glob("*.json")]
    if workflow not in known:
        raise UsageProblem(
            f"there is no workflow {workflow!r} in {FLOW}", did_you_mean(workflow, known)
        )
    return msgspec.json.decode(path.read_bytes(), type=Plan)


def pin(world: World, rundir: RunDir, plan: Plan) -> None:
    """Keep flow, prompts and plan with the run, so that a later edit does not change what it does."""
    for name, template in prompt_texts(world).items():
        atomic.write_text(rundir.flow / PROMPTS / name, template, durable=False)
    atomic.write_text(rundir.flow / "flow.yaml", read_text(world))
    atomic.write_bytes(rundir.plan, msgspec.json.encode(plan))


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


def _digest(world: World, text: str, templates: Mapping[str, str]) -> str:
    """Digest everything a compiled flow is made of, this version's own code included."""
    code = max(path.stat().st_mtime_ns for path in _LANGUAGE.glob("*.py"))
    parts = [
        __version__,
        str(code),
        text,
        shipped_text(world),
        *(f"{name}\0{one}" for name, one in templates.items()),
    ]
    return hashlib.sha256("\0\0".join(parts).encode()).hexdigest()[:32]
