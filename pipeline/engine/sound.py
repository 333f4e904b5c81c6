"""Whether the base can be tested at all: looked at before an agent is paid."""

from collections.abc import Callable
from datetime import datetime

from pipeline.core.events import Noted, RunEnd, RunFinished, RunParked
from pipeline.core.state import RunState
from pipeline.engine.stage import StageRunner
from pipeline.errors import UsageProblem
from pipeline.language.flow import GateName

_TESTED = {GateName.RED, GateName.GREEN, GateName.PROOF}


def check_base(
    state: RunState, runner: StageRunner, clock: Callable[[], datetime]
) -> RunFinished | RunParked | Noted | None:
    """Set the base up and run its tests, of every target, if the flow has gates that ask for them.

    Returns what to record: `RunParked` means that set-up fails, `RunFinished` that the tests cannot be run;
    `Noted` names those that fail already.
    """
    try:
        runner.places.setups.of(runner.base_tree)
    except UsageProblem as exc:
        return RunParked(at=clock(), reason=exc.what, mend=exc.mend)
    if not any(_TESTED & set(node.gates) for node in state.plan.nodes.values()):
        return None
    failing: list[str] = []
    for target in state.plan.targets:
        run = runner.bench.baseline(runner.base_tree, target)
        found = run.problem or "; ".join(f"{file}: {reason.text}" for file, reason in run.uncollected.items())
        if found:
            reason = f"the tests of the base cannot be run: {found}"
            return RunFinished(at=clock(), end=RunEnd.FAILED, reason=reason)
        failing += run.failing
    if not failing or any("fail on the base" in note for note in state.notes):
        return None
    names = ", ".join(failing[:5])
    return Noted(at=clock(), text=f"{len(failing)} test(s) fail on the base already and are set apart: {names}")


def problem(state: RunState) -> UsageProblem:
    """Say what a person does about a base that cannot be set up or tested."""
    run = state.started.run_id if state.started is not None else "RUN"
    if state.end is None and state.parked is not None:
        return UsageProblem(state.parked.reason, f"{state.parked.mend}; then: pipeline resume {run}")
    branch = state.started.base_branch if state.started is not None else "the base"
    commands = "; ".join(target.test.command for target in state.plan.targets)
    return UsageProblem(state.reason, f"Make this work on {branch} first: {commands}")
