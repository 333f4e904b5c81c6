"""What a run would do: the plan, and every prompt as far as it is known beforehand."""

from pipeline.core.events import StageStarted
from pipeline.core.fold import begin
from pipeline.engine.ground import flows
from pipeline.engine.ground.flows import FlowSource
from pipeline.engine.ground.world import World
from pipeline.engine.starting.runs import RunOrder, prepared
from pipeline.language.plan import Plan
from pipeline.prompts import templates
from pipeline.prompts.brief import brief_of


def rehearse(world: World, flow: FlowSource, order: RunOrder) -> tuple[Plan, dict[str, str]]:
    """Compile a workflow and render the prompts of its first round; nothing is written.

    Raises `UsageProblem`.
    """
    plan = flows.compiled(world, flow, order.workflow)
    started, _ = prepared(world, flow, plan, order)
    state = begin(plan, started)
    rendered: dict[str, str] = {}
    for node in plan.leaves():
        if node.player is not None and node.workflow == plan.workflow:
            event = StageStarted(at=started.at, stage=node.id, attempt=1)
            brief = brief_of(state, node, event, inputs=())
            rendered[node.id] = templates.render(flow.templates, node.player.prompt, brief)
    return plan, rendered
