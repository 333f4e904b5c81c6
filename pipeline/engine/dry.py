"""What a run would do, without one.

The plan, and every prompt as far as it is known before anything has run.
"""

from pipeline import prompts
from pipeline.core.events import RunStarted, StageStarted
from pipeline.core.state import RunState
from pipeline.engine import flows
from pipeline.engine.runs import Order, checked_inputs
from pipeline.engine.task import facts_of, task_of
from pipeline.engine.world import World
from pipeline.ids import run_id, slug
from pipeline.language.plan import Plan


def rehearse(world: World, order: Order) -> tuple[Plan, dict[str, str]]:
    """Compile a workflow and render the prompts of its first round; nothing is written.

    Raises `UsageProblem`.
    """
    plan = flows.compiled(world, order.workflow)
    inputs = checked_inputs(plan, order)
    base = world.user.base(order.base_branch or world.settings.base_branch)
    now = world.clock()
    name = order.run_id or run_id(now, world.randomness(4))
    started = RunStarted(
        at=now,
        run_id=name,
        workflow=order.workflow,
        feature=slug(order.feature or order.idea or order.workflow),
        idea=order.idea.strip(),
        base=base.commit,
        base_branch=base.branch,
        inputs=inputs,
    )
    state = RunState(plan)
    state.apply(started)
    templates, rundir = flows.prompt_texts(world), world.rundir(name)
    rendered: dict[str, str] = {}
    for node in plan.leaves():
        if node.player is not None and node.workflow == plan.workflow:
            event = StageStarted(at=now, stage=node.id, attempt=1)
            task = task_of(state, rundir, node, event, base=base.commit, call=1, resumed=False)
            values = {**facts_of(started), **task.brief, "inputs": []}
            rendered[node.id] = prompts.render(templates, node.player.prompt, values)
    return plan, rendered
