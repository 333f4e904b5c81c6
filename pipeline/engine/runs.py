"""Runs from outside: start one, take one up again, look at them, cancel, roll back."""

import contextlib
import hashlib
import os
from collections.abc import Sequence

import msgspec

from pipeline.core.events import (
    Event,
    Invoked,
    Noted,
    RunEnd,
    RunOpened,
    RunStarted,
)
from pipeline.core.memory import Status
from pipeline.engine import again, flows, preflight
from pipeline.engine.flows import FLOW, PROMPTS
from pipeline.engine.look import load_plan, require_run
from pipeline.engine.open import exclusive, open_journal
from pipeline.engine.places import Places
from pipeline.engine.run import Run, Stop
from pipeline.engine.stage import StageRunner
from pipeline.engine.world import TOOLS, World
from pipeline.errors import NothingToDo, UsageProblem
from pipeline.files import atomic
from pipeline.files.failpoints import reached
from pipeline.files.journal import Journal
from pipeline.files.rundir import LATEST, RunDir
from pipeline.ids import branch_name, run_id, slug
from pipeline.language.diagnostics import did_you_mean
from pipeline.language.flow_names import BUILTIN_INPUTS
from pipeline.language.plan import Plan
from pipeline.language.publishing import Choice
from pipeline.process.launch import Launcher
from pipeline.repo.user import FALLBACK_AUTHOR


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks for."""

    workflow: str
    idea: str
    feature: str = ""
    run_id: str = ""
    base_branch: str = ""
    publish: bool = True
    cassette: str = ""
    inputs: dict[str, str] = {}


def start(world: World, order: Order) -> str:
    """Make a run, ready to be worked on; return its id.

    Raises `UsageProblem` before anything is left behind.
    """
    idea = order.idea.strip()
    plan = flows.compiled(world, order.workflow)
    inputs = checked_inputs(plan, order)
    base = world.user.base(order.base_branch or world.settings.base_branch)
    doubts = preflight.require(world, plan, base, agents=not order.cassette, publish=order.publish)
    now = world.clock()
    name = order.run_id or run_id(now, world.randomness(4))
    rundir = world.rundir(name)
    if rundir.exists:
        raise UsageProblem(
            f"the run {name} exists already", f"Go on with it: pipeline resume {name}"
        )
    feature = slug(order.feature or idea or order.workflow)
    _require_publishable(world, plan, feature, name)
    rundir.create()
    text = flows.read_text(world)
    flows.pin(world, rundir, plan)
    request = f"# {feature}\n\n- run: {name}\n- base branch: {base.branch}\n\n{idea}\n"
    atomic.write_text(rundir.folder / "feature_request.md", request)
    started = RunStarted(
        at=now,
        run_id=name,
        workflow=order.workflow,
        feature=feature,
        idea=idea,
        base=base.commit,
        base_branch=base.branch,
        author=world.user.author(),
        cassette=order.cassette,
        publish=order.publish,
        remote=world.user.remote(),
        flow_digest=hashlib.sha256(text.encode()).hexdigest(),
        tools={name: world.environ[name] for name in TOOLS if name in world.environ},
        inputs=inputs,
    )
    notes = [
        Noted(at=now, text=note)
        for note in (*base.notes, *doubts, *_differing(world, base.commit, text))
    ]
    with open_journal(rundir) as opened:
        opened.append([started, *notes], durable=True)
    atomic.sync_folder(rundir.folder.parent)
    reached("run.created")
    return name


def checked_inputs(plan: Plan, order: Order) -> dict[str, str]:
    """Hold what was given against what the workflow wants.

    Raises `UsageProblem` that names all that is amiss.
    """
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


def require_stage(world: World, workflow: str, stage: str) -> None:
    """Make sure that a workflow has a stage of this name; an empty name is fine.

    Raises `UsageProblem`.
    """
    names = [
        node.id for node in flows.compiled(world, workflow).leaves() if node.workflow == workflow
    ]
    if stage and stage not in names:
        raise UsageProblem(f"there is no stage {stage!r} in {workflow}", did_you_mean(stage, names))


def prepared_idea(world: World, name: str) -> str:
    """Return the idea a person prepared for a run id in `feature_request.md`, or an empty text."""
    path = world.rundir(name).folder / "feature_request.md"
    return (
        path.read_text(errors="replace") if path.is_file() and not world.rundir(name).exists else ""
    )


def work(
    world: World, name: str, stop: Stop, first: Sequence[Event] = (), *, reload: bool = False
) -> Run:
    """Work on a run until it is over, parked or stopped; `first` is recorded when it is taken up.

    With an `Invoked` among them only that stage is worked on; with `reload` the run takes the flow
    and prompts of the checkout first. Raises `Busy` when another process works on it.
    """
    rundir = require_run(world, name)
    with exclusive(world, rundir):
        if reload:
            again.reload(world, rundir)
        return _work(world, rundir, stop, first)


def _work(world: World, rundir: RunDir, stop: Stop, first: Sequence[Event]) -> Run:
    plan = load_plan(rundir.plan)
    store = world.store()
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_journal(rundir))
        launcher = stack.enter_context(Launcher(rundir.work / "launcher.log"))
        tools = _recorded_tools(opened)
        places = Places(world, rundir, plan, store, launcher, tools)
        runner = StageRunner(world, rundir, plan, places, launcher, places.bench())
        run = Run(world, rundir, plan, opened, store, runner)
        stack.callback(lambda: places.close(over=run.state.end is not None))
        run.take_in_edits()
        invoked = any(isinstance(event, Invoked) for event in first)
        outdated = None if invoked else again.outdated(run.state, run.bases.stale(run.state))
        if run.state.end is not None and not invoked and outdated is None:
            _heal(run)
            raise NothingToDo(f"run {rundir.run_id} is over: {run.state.end.value}", _hint(run))
        run.record(RunOpened(at=world.clock(), pid=os.getpid()), *first)
        if outdated is not None:
            run.take_back(outdated)
        run.go(stop)
        return run


def _hint(run: Run) -> str:
    """Say what can be done with a run that is over."""
    failed = [
        node.id for node in run.plan.leaves() if run.state.nodes[node.id].status is Status.FAILED
    ]
    see = f"See it: pipeline show {run.rundir.run_id}"
    return f"{see}; do it again: pipeline retry {run.rundir.run_id} {failed[0]}" if failed else see


def _recorded_tools(opened: Journal) -> dict[str, str]:
    """Return PATH and VIRTUAL_ENV of the person who started the run."""
    first = opened.events[0] if opened.events else None
    tools = first.tools if isinstance(first, RunStarted) else {}
    return {name: value for name, value in tools.items() if value}


def _heal(run: Run) -> None:
    """Make the files of a finished run what they should be, should it have been killed right at its end."""
    if run.state.end is RunEnd.DONE:
        link = run.rundir.root / LATEST
        current = link.readlink().name if link.is_symlink() else ""
        if current < run.rundir.run_id:
            run.rundir.switch_latest()


def _require_publishable(world: World, plan: Plan, feature: str, name: str) -> None:
    """Make sure, before an agent is paid, that nothing stands in the way of what is published at the end."""
    for node in plan.nodes.values():
        if node.publish is None:
            continue
        world.user.require_free(
            branch_name(node.publish.branch, feature, name), "Then type the same command again"
        )
        if node.publish.signoff is Choice.ALWAYS and world.user.author() == FALLBACK_AUTHOR:
            raise UsageProblem(
                "commits are to be signed off (publish.signoff), and git does not know by whom",
                "Say who you are: git config user.name NAME; git config user.email MAIL",
            )


def _differing(world: World, commit: str, text: str) -> list[str]:
    """Say when flow or prompts of the checkout are not those of the base commit."""
    committed = world.user.git("show", f"{commit}:{FLOW}", ok=(0, 128))
    notes = []
    if committed and committed.rstrip("\n") != text.rstrip("\n"):
        notes.append(f"{FLOW} of your checkout is used; it differs from the base commit's")
    elif not committed:
        notes.append(f"{FLOW} of your checkout is used; the base commit has none")
    changed = world.user.git(
        "diff", "--name-only", commit, "--", PROMPTS, ok=(0, 1, 128)
    ).splitlines()
    if changed:
        notes.append(
            f"{len(changed)} prompt file(s) of your checkout differ from the base commit's"
        )
    return notes
