"""Everything that a run needs, looked at on demand.

The quick checks of every start, then set-up, tests and checks.
"""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.engine.ground import flows
from pipeline.engine.ground.world import World
from pipeline.engine.running.workspaces import Workspaces
from pipeline.engine.starting import places, precheck, preflight
from pipeline.engine.starting.preflight import Check, CheckStatus
from pipeline.errors import Problem, UsageProblem
from pipeline.files.trees import remove
from pipeline.ids import run_id
from pipeline.language import globs
from pipeline.language.plan import Plan
from pipeline.process.environment import TOOL_VARIABLES
from pipeline.process.launch import Launcher
from pipeline.repo import objects
from pipeline.repo.links import SetUp
from pipeline.repo.setups import SetupFailed
from pipeline.repo.store import PinnedBase
from pipeline.repo.user import Base


def examine(world: World, *, quick: bool, base_branch: str = "") -> Iterator[Check]:
    """Go through all checks, the quick ones first.

    One that fails does not keep the others from being made.
    """
    base = world.user.pin_base(base_branch or world.settings.base_branch)
    text = f"{world.user.root}, base {base.branch} at {base.commit[:10]}"
    yield Check(name="repository", status=CheckStatus.OK, text="; ".join((text, *base.notes)))
    try:
        source = flows.read(world)
        workflows = flows.check(world, source).workflows
        plan = flows.compiled(world, source, next(iter(workflows)))
    except Problem as exc:
        yield Check(
            name="flow",
            status=CheckStatus.FAIL,
            text=exc.what,
            hint=exc.hint or f"See: {flows.CHECK}",
        )
        return
    targets = ", ".join(target.name for target in plan.targets)
    text = f"{len(workflows)} workflow(s), target(s): {targets}"
    yield Check(name="flow", status=CheckStatus.OK, text=text)
    yield places.check(world)
    yield from preflight.quick(world, plan, base)
    if not quick:
        yield from _base(world, plan, base)
    price = preflight.price(world, plan)
    yield Check(
        name="price",
        status=CheckStatus.OK,
        text=price,
        hint=f'trigger_workflow {plan.workflow} "..."',
    )


def exit_code(checks: Sequence[Check]) -> int:
    """Return the exit status: that of the first check that failed, else 0."""
    return next((check.exit_code for check in checks if check.status is CheckStatus.FAIL), 0)


def _base(world: World, plan: Plan, base: Base) -> Iterator[Check]:
    """Set the base up, and run its tests and checks, as a run would before it pays an agent."""
    store = world.store()
    name = run_id(world.clock(), world.randomness(4))
    rundir = world.rundir(name)
    rundir.work.mkdir(parents=True)
    objects.ensure_objects(world.user, store, base.commit, name)
    tools = {name: world.environ[name] for name in TOOL_VARIABLES if name in world.environ}
    pinned = PinnedBase(commit=base.commit, tree=store.tree_of(base.commit))
    try:
        with Launcher(rundir.work / "launcher.log") as launcher:
            workspaces = Workspaces(world, rundir, plan, store, launcher, tools, pinned)
            try:
                yield from _set_up_and_tested(plan, workspaces, pinned.tree)
            finally:
                workspaces.close(is_over=True)
    finally:
        remove(rundir.work)


def _set_up_and_tested(plan: Plan, workspaces: Workspaces, tree: str) -> Iterator[Check]:
    try:
        made = workspaces.setups.require(tree)
    except SetupFailed as exc:  # its logs go with the folder of this look
        yield Check(name="set-up", status=CheckStatus.FAIL, text=exc.summary, hint=exc.hint)
        return
    except UsageProblem as exc:
        yield Check(name="set-up", status=CheckStatus.FAIL, text=exc.what, hint=exc.hint)
        return
    if workspaces.setups.is_wanted:
        yield Check(
            name="set-up",
            status=CheckStatus.OK,
            text="; ".join((*plan.workspace.setup, *plan.workspace.link)),
        )
    yield from _submodules(plan, workspaces, tree, made)
    yield from precheck.examine(workspaces.bench, plan.targets, tree, names=True)


def _submodules(
    plan: Plan, workspaces: Workspaces, tree: str, made: SetUp | None
) -> Iterator[Check]:
    """Say which submodules there are, and whether workspaces get them from set-up."""
    lines = workspaces.setups.store.git("ls-tree", "-r", "-z", tree).split("\0")
    paths = [line.partition("\t")[2] for line in lines if line.startswith("160000 ")]
    there = [path for path in paths if made is not None and _is_filled(Path(made.root) / path)]
    absent = [path for path in paths if path not in there]
    stale = [path for path in there if not globs.matches_any(plan.workspace.inputs, path)]
    tied = [
        path for path in there if made is not None and (Path(made.root) / path / ".git").exists()
    ]
    doubts = (
        (absent, "workspaces do not get it: tests and agents find an empty folder"),
        (stale, "set-up brings it, but is not run again for another commit of it"),
        (tied, "set-up leaves a file .git in it, with which git does not work in workspaces"),
    )
    for those, text in doubts:
        if those:
            names = " ".join(map(shlex.quote, those))
            yield Check(
                name="submodules",
                status=CheckStatus.WARN,
                text=f"{', '.join(those)}: {text}",
                hint=f"In {flows.FLOW}: workspace: {{setup: [git submodule update --init "
                f"--recursive -- {names} && find {names} -name .git -type f -delete], "
                f"inputs: [{', '.join(those)}]}}",
            )
    if there and not stale and not tied:
        text = f"set-up brings {', '.join(there)} into workspaces"
        yield Check(name="submodules", status=CheckStatus.OK, text=text)


def _is_filled(folder: Path) -> bool:
    return folder.is_dir() and any(one.name != ".git" for one in folder.iterdir())
