"""Whether the base can be tested and checked at all: looked at before an agent is paid."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from pipeline.core.events import Noted, RunEnd, RunFinished, RunParked
from pipeline.core.excerpt import excerpt
from pipeline.core.state import RunState
from pipeline.engine.preflight import Check, Verdict
from pipeline.engine.stage import StageRunner
from pipeline.errors import UsageProblem
from pipeline.gates.bench import Bench
from pipeline.gates.testrun import TestRun
from pipeline.language.flow import GateName
from pipeline.language.target import Target

_TESTED = {GateName.RED, GateName.GREEN, GateName.PROOF}
_NAMED = 5


def check_base(
    state: RunState, runner: StageRunner, clock: Callable[[], datetime]
) -> RunFinished | RunParked | Noted | None:
    """Set the base up, and run its tests and checks, of every target, if the flow has gates that ask for them.

    Returns what to record: `RunParked` means that set-up fails, `RunFinished` that tests or checks cannot be run;
    `Noted` names what fails already.
    """
    try:
        runner.places.setups.of(runner.base_tree)
    except UsageProblem as exc:
        return RunParked(at=clock(), reason=exc.what, mend=exc.mend)
    gates = {gate for node in state.plan.nodes.values() for gate in node.gates}
    if not gates & {*_TESTED, GateName.CHECKS}:
        return None
    found = list(
        examine(
            runner.bench,
            state.plan.targets,
            runner.base_tree,
            tests=bool(gates & _TESTED),
            checks=GateName.CHECKS in gates,
        )
    )
    if failed := [check for check in found if check.verdict is Verdict.FAIL]:
        reason = "; ".join(check.text for check in failed)
        return RunFinished(at=clock(), end=RunEnd.FAILED, reason=reason)
    told = [check.text for check in found if check.verdict is Verdict.WARN]
    if not told or any("on the base already" in note for note in state.notes):
        return None
    return Noted(at=clock(), text="; ".join(told))


def examine(
    bench: Bench, targets: Sequence[Target], tree: str, *, tests: bool = True, checks: bool = True
) -> Iterator[Check]:
    """Go through tests and checks of all targets on the tree of the base."""
    for target in targets:
        if tests:
            yield _tests(target, bench.baseline(tree, target))
        for command in target.checks if checks else ():
            yield _check(bench, target, tree, command)


def _tests(target: Target, run: TestRun) -> Check:
    """Say whether a target's tests can be collected, and which of them fail already."""
    name = f"tests of {target.name}"
    found = run.problem or "; ".join(
        f"{file}: {reason.text}" for file, reason in run.uncollected.items()
    )
    if found:
        text = f"the tests of the base cannot be run: {found}"
        return Check(
            name=name,
            verdict=Verdict.FAIL,
            text=text,
            mend=f"Make this work first: {target.test.command}",
        )
    if not run.failing and not run.tests and not run.weak:
        return Check(name=name, verdict=Verdict.OK, text="none yet; they can be run")
    if not run.failing:
        text = (
            f"{len(run.tests)} test(s) pass in {run.duration_s:.1f} s"
            if not run.weak
            else "exit status 0"
        )
        return Check(name=name, verdict=Verdict.OK, text=text)
    names = ", ".join(run.failing[:_NAMED]) + (", ..." if len(run.failing) > _NAMED else "")
    text = f"{len(run.failing)} test(s) fail on the base already and are set apart: {names}"
    return Check(name=name, verdict=Verdict.WARN, text=text)


def _check(bench: Bench, target: Target, tree: str, command: str) -> Check:
    """Say whether a check can be run, and whether it finds something already."""
    done = bench.checked(tree, command, target)
    if done.cannot_run:
        said = done.problem or excerpt(done.output)
        return Check(
            name=f"check of {target.name}",
            verdict=Verdict.FAIL,
            text=f"the check {command!r} of {target.name} cannot be run: {said}",
            mend="Install it, let workspace.setup bring it, or take it out of the target's `checks`",
        )
    if done.code:
        text = f"{command!r} finds something on the base already; only what is new will count"
        return Check(name=f"check of {target.name}", verdict=Verdict.WARN, text=text)
    return Check(name=f"check of {target.name}", verdict=Verdict.OK, text=command)


def problem(state: RunState) -> UsageProblem:
    """Say what a person does about a base that cannot be set up or tested."""
    run = state.started.run_id if state.started is not None else "RUN"
    if state.end is None and state.parked is not None:
        return UsageProblem(
            state.parked.reason, f"{state.parked.mend}; then: pipeline resume {run}"
        )
    branch = state.started.base_branch if state.started is not None else "the base"
    commands = "; ".join(target.test.command for target in state.plan.targets)
    return UsageProblem(
        state.reason,
        f"Make this work on {branch} first: {commands}\nSee all of it: pipeline doctor",
    )
