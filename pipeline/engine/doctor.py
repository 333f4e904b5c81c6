"""Everything that a run needs, looked at on demand.

The quick checks of every start, then set-up, tests and checks.
"""

from collections.abc import Iterator, Sequence

from pipeline.engine import flows, preflight, sound
from pipeline.engine.places import Places
from pipeline.engine.preflight import Check, Verdict
from pipeline.engine.world import TOOLS, World
from pipeline.errors import Problem, UsageProblem
from pipeline.files.trees import remove
from pipeline.ids import run_id
from pipeline.language.plan import Plan
from pipeline.process.launch import Launcher
from pipeline.repo import objects
from pipeline.repo.user import Base


def examine(world: World, *, quick: bool, base_branch: str = "") -> Iterator[Check]:
    """Go through all checks, the quick ones first.

    One that fails does not keep the others from being made.
    """
    base = world.user.base(base_branch or world.settings.base_branch)
    text = f"{world.user.root}, base {base.branch} at {base.commit[:10]}"
    yield Check(name="repository", verdict=Verdict.OK, text="; ".join((text, *base.notes)))
    try:
        checked = flows.check(world)
        plan = flows.compiled(world, next(iter(checked.flow.workflows)))
    except Problem as exc:
        yield Check(
            name="flow", verdict=Verdict.FAIL, text=exc.what, mend=exc.mend or f"See: {flows.CHECK}"
        )
        return
    targets = ", ".join(target.name for target in plan.targets)
    text = f"{len(checked.flow.workflows)} workflow(s), target(s): {targets}"
    yield Check(name="flow", verdict=Verdict.OK, text=text)
    yield from preflight.quick(world, plan, base)
    if not quick:
        yield from _base(world, plan, base)
    price = preflight.price(world, plan).removeprefix("price: ")
    yield Check(
        name="price", verdict=Verdict.OK, text=price, mend=f'trigger_workflow {plan.workflow} "..."'
    )


def exit_code(checks: Sequence[Check]) -> int:
    """Return the exit status: that of the first check that failed, else 0."""
    return next((check.exit_code for check in checks if check.verdict is Verdict.FAIL), 0)


def _base(world: World, plan: Plan, base: Base) -> Iterator[Check]:
    """Set the base up, and run its tests and checks, as a run would before it pays an agent."""
    store = world.store()
    name = run_id(world.clock(), world.randomness(4))
    rundir = world.rundir(name)
    rundir.work.mkdir(parents=True)
    objects.secure(world.user, store, base.commit, name)
    tools = {name: world.environ[name] for name in TOOLS if name in world.environ}
    try:
        with Launcher(rundir.work / "launcher.log") as launcher:
            places = Places(world, rundir, plan, store, launcher, tools)
            tree = store.tree_of(base.commit)
            places.begin(base.commit, tree)
            try:
                yield from _set_up_and_tested(plan, places, tree)
            finally:
                places.close(over=True)
    finally:
        remove(rundir.work)


def _set_up_and_tested(plan: Plan, places: Places, tree: str) -> Iterator[Check]:
    try:
        places.setups.of(tree)
    except UsageProblem as exc:
        said = exc.what.partition(" (all of it: ")[0]  # that file goes with the folder of this look
        yield Check(name="set-up", verdict=Verdict.FAIL, text=said, mend=exc.mend)
        return
    if places.setups.is_wanted:
        yield Check(
            name="set-up",
            verdict=Verdict.OK,
            text="; ".join((*plan.workspace.setup, *plan.workspace.link)),
        )
    yield from sound.examine(places.bench(), plan.targets, tree)
