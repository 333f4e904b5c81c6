"""Runs from outside: start one, take one up again, look at them, cancel, roll back."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pipeline import backends
from pipeline.core import flow_check, flow_file
from pipeline.core.diagnostics import did_you_mean
from pipeline.core.events import (
    Invoked,
    Noted,
    RunEnd,
    RunOpened,
    RunStarted,
)
from pipeline.core.flow import Flow
from pipeline.core.plan import Plan, compile_plan
from pipeline.engine.look import holder, load_plan, require_run
from pipeline.engine.run import Run, Stop
from pipeline.engine.stage import StageRunner
from pipeline.engine.world import TOOLS, World
from pipeline.errors import Busy, NothingToDo, UsageProblem
from pipeline.files import atomic, locks
from pipeline.files.failpoints import reached
from pipeline.files.journal import Journal
from pipeline.files.rundir import LATEST, RunDir
from pipeline.gates.bench import Bench
from pipeline.ids import lock_file_name, run_id, slug
from pipeline.process.launch import Launcher

FLOW = "agents/flow.yaml"
PROMPTS = "agent_prompts"
_RUN_LOCK_S = 0.5


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks for."""

    workflow: str
    idea: str
    feature: str = ""
    run_id: str = ""
    base_branch: str = ""
    publish: bool = True
    cassette: str = ""


def load_flow(world: World) -> tuple[Flow, str]:
    """Read and check the checkout's flow; return it with its text. Raises `UsageProblem` with every complaint."""
    path = world.user.root / FLOW
    if not path.is_file():
        raise UsageProblem(
            f"{world.user.root} has no {FLOW}, which says what the stages are",
            f"Start from the shipped one: mkdir -p agents && pipeline flow show --shipped > {FLOW}",
        )
    text = path.read_text(errors="replace")
    flow, source = flow_file.parse(text, FLOW)
    flow_check.check(flow, source, prompts=set(prompt_files(world)), backends=set(backends.TABLE))
    return flow, text


def prompt_files(world: World) -> dict[str, Path]:
    """Return the prompt templates by name: the shipped ones, and the checkout's own in their place."""
    found = {path.name: path for path in (world.shipped / PROMPTS).glob("*.j2")}
    found.update({path.name: path for path in (world.user.root / PROMPTS).glob("*.j2")})
    return found


def start(world: World, order: Order) -> str:
    """Make a run, ready to be worked on; return its id. Raises `UsageProblem` before anything is left behind."""
    idea = order.idea.strip()
    if not idea:
        raise UsageProblem(
            "the idea is empty", 'Say what you want: trigger_workflow idea_to_feature "add rate limiting"'
        )
    flow, text = load_flow(world)
    if order.workflow not in flow.workflows:
        raise UsageProblem(
            f"there is no workflow {order.workflow!r} in {FLOW}", did_you_mean(order.workflow, flow.workflows)
        )
    plan = compile_plan(flow, order.workflow)
    if not order.cassette:
        _require_agents(world, plan)
    base = world.user.base(order.base_branch or world.settings.base_branch)
    now = world.clock()
    name = order.run_id or run_id(now, world.randomness(4))
    rundir = world.rundir(name)
    if rundir.exists:
        raise UsageProblem(f"the run {name} exists already", f"Go on with it: pipeline resume {name}")
    rundir.create()
    feature = slug(order.feature or idea)
    _pin(world, rundir, plan, text)
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
    )
    notes = [Noted(at=now, text=note) for note in (*base.notes, *_differing(world, base.commit, text))]
    with open_journal(rundir) as opened:
        opened.append([started, *notes], durable=True)
    atomic.sync_folder(rundir.folder.parent)
    reached("run.created")
    return name


def require_stage(world: World, workflow: str, stage: str) -> None:
    """Make sure that a workflow has a stage of this name; an empty name is fine. Raises `UsageProblem`."""
    flow, _ = load_flow(world)
    names = [node.id for node in compile_plan(flow, workflow).leaves() if node.workflow == workflow]
    if stage and stage not in names:
        raise UsageProblem(f"there is no stage {stage!r} in {workflow}", did_you_mean(stage, names))


def prepared_idea(world: World, name: str) -> str:
    """Return the idea a person prepared for a run id in `feature_request.md`, or an empty text."""
    path = world.rundir(name).folder / "feature_request.md"
    return path.read_text(errors="replace") if path.is_file() and not world.rundir(name).exists else ""


def work(world: World, name: str, stop: Stop, invoked: Invoked | None = None) -> Run:
    """Work on a run until it is over, parked or stopped; with `invoked`, on that one stage.

    Raises `Busy` when another process works on it.
    """
    rundir = require_run(world, name)
    with exclusive(world, rundir):
        return _work(world, rundir, stop, invoked)


def _work(world: World, rundir: RunDir, stop: Stop, invoked: Invoked | None) -> Run:
    plan = load_plan(rundir.plan)
    store = world.store()
    with open_journal(rundir) as opened, Launcher(rundir.work / "launcher.log") as launcher:
        env = {**world.child_env(), **_recorded_tools(opened)}
        bench = Bench(
            store, launcher, rundir.work / "gate", world.repo_state / "baselines", env, portable=world.settings.portable
        )
        runner = StageRunner(world, rundir, plan, store, launcher, bench)
        run = Run(world, rundir, plan, opened, store, runner)
        if run.state.end is not None and invoked is None:
            _heal(run)
            raise NothingToDo(
                f"run {rundir.run_id} is over: {run.state.end.value}", f"See it: pipeline show {rundir.run_id}"
            )
        run.record(RunOpened(at=world.clock(), pid=os.getpid()), *([invoked] if invoked else []))
        run.go(stop)
        return run


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


def _pin(world: World, rundir: RunDir, plan: Plan, text: str) -> None:
    """Keep flow, prompts and plan with the run, so that a later edit does not change what it does."""
    target = rundir.flow / PROMPTS
    target.mkdir(parents=True, exist_ok=True)
    for name, path in prompt_files(world).items():
        shutil.copyfile(path, target / name)
    atomic.write_text(rundir.flow / "flow.yaml", text)
    atomic.write_bytes(rundir.plan, msgspec.json.encode(plan))


def _require_agents(world: World, plan: Plan) -> None:
    """Make sure that every agent's command can be found before anything is started."""
    for node in plan.leaves():
        if node.player is None or node.player.backend != "command":
            continue
        role = node.player.role
        if not node.player.command:
            raise UsageProblem(
                f"no agent: the role {role} has no command line",
                f"Say in {FLOW} who plays it, for example: defaults: {{command: [claude, -p]}}",
            )
        name = node.player.command[0]
        if shutil.which(name, path=world.environ.get("PATH", "")) is None:
            raise UsageProblem(
                f"the agent {name!r} of the role {role} is not on the PATH",
                f"Install it, or name another in {FLOW}: defaults: {{command: [...]}}; or try: pipeline demo",
            )


def _differing(world: World, commit: str, text: str) -> list[str]:
    """Say when flow or prompts of the checkout are not those of the base commit."""
    committed = world.user.git("show", f"{commit}:{FLOW}", ok=(0, 128))
    notes = []
    if committed and committed.rstrip("\n") != text.rstrip("\n"):
        notes.append(f"{FLOW} of your checkout is used; it differs from the base commit's")
    elif not committed:
        notes.append(f"{FLOW} of your checkout is used; the base commit has none")
    changed = world.user.git("diff", "--name-only", commit, "--", PROMPTS, ok=(0, 1, 128)).splitlines()
    if changed:
        notes.append(f"{len(changed)} prompt file(s) of your checkout differ from the base commit's")
    return notes


@contextmanager
def exclusive(world: World, rundir: RunDir) -> Iterator[None]:
    """Be the one process that works on a run."""
    path = rundir.lock(lock_file_name("run", rundir.run_id))
    try:
        with locks.hold([path], run_id=rundir.run_id, agent="engine", stage="", timeout_s=_RUN_LOCK_S):
            yield
    except Busy as busy:
        if not busy.what.startswith("the lock run"):
            raise
        who = holder(world, rundir.run_id)
        pid = f" (process {who.pid}, since {who.timestamp})" if who else ""
        raise Busy(
            f"run {rundir.run_id} is being worked on already{pid}",
            f"Watch it: pipeline status {rundir.run_id}; or end it: pipeline cancel {rundir.run_id}",
        ) from busy


@contextmanager
def open_journal(rundir: RunDir) -> Iterator[Journal]:
    """Have a run's journal open for writing; only under `exclusive`, or before anybody knows the run."""
    opened = Journal(rundir.journal)
    try:
        yield opened
    finally:
        opened.close()
