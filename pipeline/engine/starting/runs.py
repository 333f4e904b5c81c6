"""Beginning a run: the order, checked against flow and repository, put on record."""

from collections.abc import Iterator, Sequence

import msgspec

from pipeline.core import plain_text
from pipeline.core.events import Event, Noted, RunStarted
from pipeline.engine.ground import flows, known
from pipeline.engine.ground.flows import FLOW, FlowSource
from pipeline.engine.ground.record import create_record, exclusive
from pipeline.engine.ground.world import World
from pipeline.engine.starting import ideas, places, preflight
from pipeline.errors import UsageProblem
from pipeline.files import atomic
from pipeline.files.failpoints import reached
from pipeline.files.rundir import REQUEST, RunDir
from pipeline.ids import branch_name, run_id, slug
from pipeline.language.diagnostics import did_you_mean
from pipeline.language.flow_names import BUILTIN_INPUTS
from pipeline.language.plan import Plan
from pipeline.language.publishing import Choice
from pipeline.process.environment import TOOL_VARIABLES
from pipeline.repo.user import FALLBACK_AUTHOR, Base


class RunOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks for."""

    workflow: str
    idea: str
    feature: str = ""
    run_id: str = ""
    base_branch: str = ""
    publish: bool = True
    cassette: str = ""
    inputs: dict[str, str] = {}


def start(world: World, flow: FlowSource, order: RunOrder) -> str:
    """Make a run of a flow, ready to be worked on; return its id.

    A run of the ordered id that somebody else began meanwhile is left as it is. Raises
    `UsageProblem` before anything is left behind, and `Busy` while somebody works on that run.
    """
    plan = flows.compiled(world, flow, order.workflow)
    started, base = prepared(world, flow, plan, order)
    if (checked := places.check(world)).status is preflight.CheckStatus.FAIL:
        raise preflight.refusal([checked])
    doubts = preflight.require(world, plan, base, agents=not order.cassette, publish=order.publish)
    _require_publishable(world, plan, started)
    notes = [*base.notes, *doubts, *_differences(world, base.commit, flow)]
    notes += [f"the idea holds hidden text: {what}" for what in plain_text.hidden(started.idea)]
    events = [Noted(at=started.at, text=note) for note in notes]
    rundir = world.rundir(started.run_id)
    with exclusive(world, rundir):
        if not rundir.exists:  # else somebody else began it just now, and it is gone on with
            _begin(world, rundir, flow, plan, started, events)
    return started.run_id


def _begin(
    world: World,
    rundir: RunDir,
    flow: FlowSource,
    plan: Plan,
    started: RunStarted,
    events: Sequence[Event],
) -> None:
    """Put a run on record; only under `exclusive`."""
    rundir.create()
    flows.pin(flow, rundir, plan)
    atomic.write_text(rundir.folder / REQUEST, started.request)
    with create_record(world, rundir, plan, started, *events):
        atomic.sync_folder(rundir.folder.parent)
        reached("run.created")


def prepared(
    world: World, flow: FlowSource, plan: Plan, order: RunOrder
) -> tuple[RunStarted, Base]:
    """Make the first event of a run, without beginning it, and find its base.

    Raises `UsageProblem` when the order does not fit the workflow, or there is no such base.
    """
    inputs = _checked_inputs(plan, order)
    base = world.user.pin_base(order.base_branch or world.settings.base_branch)
    known.use_base(world, base.commit)  # before a branch is named after the idea
    order = msgspec.structs.replace(
        order,
        idea=world.redactor.text(order.idea),
        feature=world.redactor.text(order.feature),
    )
    now, idea = world.clock(), order.idea.strip()
    started = RunStarted(
        at=now,
        run_id=order.run_id or run_id(now, world.randomness(4)),
        workflow=order.workflow,
        feature=slug(order.feature or _first_line(idea) or order.workflow),
        idea=idea,
        base=base.commit,
        base_branch=base.branch,
        author=world.user.author(),
        cassette=order.cassette,
        publish=order.publish,
        remote=world.user.remote(),
        flow_digest=flow.digest,
        tools={name: world.environ[name] for name in TOOL_VARIABLES if name in world.environ},
        inputs=inputs,
        state_folder=str(world.repo_state),
    )
    return started, base


def _first_line(idea: str) -> str:
    return next((line for line in idea.splitlines() if line.strip(" #")), "")


def _checked_inputs(plan: Plan, order: RunOrder) -> dict[str, str]:
    """Check inputs against the workflow's. Raises `UsageProblem` with all that is wrong."""
    wanted = plan.inputs[plan.workflow]
    known = [name for name in wanted if name not in BUILTIN_INPUTS]
    usual = f"trigger_workflow {order.workflow}"
    for name in order.inputs:
        if name not in known:
            raise UsageProblem(f"{order.workflow} has no input {name!r}", did_you_mean(name, known))
    idea = wanted.get("idea")
    if not order.idea.strip() and (idea is None or idea.required):
        raise UsageProblem("the idea is empty", f'Say what you want: {usual} "add rate limiting"')
    missing = [name for name in known if wanted[name].required and not order.inputs.get(name)]
    if missing:
        words = " ".join(f"--input {name}=..." for name in missing)
        raise UsageProblem(f"{order.workflow} needs {', '.join(missing)}", f"Add: {words}")
    return {name: order.inputs.get(name, wanted[name].default) for name in known}


def prepared_idea(world: World, name: str) -> str:
    """Return the idea a person prepared for a run id in `feature_request.md`, or an empty text."""
    path = world.rundir(name).folder / REQUEST
    is_prepared = path.is_file() and not world.rundir(name).exists
    return ideas.read_file(path) if is_prepared else ""


def _require_publishable(world: World, plan: Plan, started: RunStarted) -> None:
    """Check, before an agent is paid, that nothing hinders publishing at the end."""
    for node in plan.nodes.values():
        if node.publish is None:
            continue
        branch = branch_name(node.publish.branch, started.feature, started.run_id)
        world.user.require_branch_free(branch, "Then type the same command again")
        if node.publish.signoff is Choice.ALWAYS and started.author == FALLBACK_AUTHOR:
            raise UsageProblem(
                "commits are to be signed off (publish.signoff), and git does not know by whom",
                "Say who you are: git config user.name NAME; git config user.email MAIL",
            )


def _differences(world: World, commit: str, flow: FlowSource) -> Iterator[str]:
    """Yield how flow and prompts differ from those of the base commit."""
    committed = flows.read_commit(world, commit)
    if committed is None:
        yield f"{FLOW} of {flow.origin} is used; the base commit has none"
        return
    if committed.text.rstrip("\n") != flow.text.rstrip("\n"):
        yield f"{FLOW} of {flow.origin} is used; it differs from the base commit's"
    names = committed.templates.keys() | flow.templates.keys()
    changed = [name for name in names if committed.templates.get(name) != flow.templates.get(name)]
    if changed:
        yield f"{len(changed)} prompt file(s) of {flow.origin} differ from the base commit's"
