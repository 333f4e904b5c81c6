"""Everything that a run needs, looked at on demand: the quick checks of every start, then set-up, tests and checks."""

import secrets
from collections.abc import Iterator, Sequence

from pipeline.engine import flows, preflight, sound
from pipeline.engine.preflight import Check, Verdict
from pipeline.engine.world import World
from pipeline.errors import Problem
from pipeline.files.rundir import remove_tree
from pipeline.gates.bench import Bench
from pipeline.language.plan import Plan
from pipeline.process.launch import Launcher
from pipeline.repo.user import Base


def examine(world: World, *, quick: bool) -> Iterator[Check]:
    """Go through all checks, the quick ones first; one that fails does not keep the others from being made."""
    base = world.user.base(world.settings.base_branch)
    text = f"{world.user.root}, base {base.branch} at {base.commit[:10]}"
    yield Check(name="repository", verdict=Verdict.OK, text="; ".join((text, *base.notes)))
    try:
        checked = flows.check(world)
        plan = flows.compiled(world, next(iter(checked.flow.workflows)))
    except Problem as exc:
        yield Check(name="flow", verdict=Verdict.FAIL, text=exc.what, mend=exc.mend or f"See: {flows.CHECK}")
        return
    targets = ", ".join(target.name for target in plan.targets)
    text = f"{len(checked.flow.workflows)} workflow(s), target(s): {targets}"
    yield Check(name="flow", verdict=Verdict.OK, text=text)
    yield from preflight.quick(world, plan, base)
    if not quick:
        yield from _base(world, plan, base)
    yield Check(name="price", verdict=Verdict.OK, text=preflight.price(world, plan).removeprefix("price: "))


def exit_code(checks: Sequence[Check]) -> int:
    """Return the exit status: that of the first check that failed, else 0."""
    return next((check.exit_code for check in checks if check.verdict is Verdict.FAIL), 0)


def _base(world: World, plan: Plan, base: Base) -> Iterator[Check]:
    """Run tests and checks of the base, as a run would before it pays an agent."""
    store = world.store()
    folder = world.repo_state / "doctor" / secrets.token_hex(4)
    folder.mkdir(parents=True)
    try:
        with Launcher(folder / "launcher.log") as launcher:
            cache = world.repo_state / "baselines"
            portable = world.settings.portable
            bench = Bench(store, launcher, folder / "gate", cache, world.gate_env(), portable=portable)
            yield from sound.examine(bench, plan.targets, store.tree_of(base.commit))
    finally:
        remove_tree(folder)
