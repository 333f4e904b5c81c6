"""Whether the base can be set up, tested and checked at all: looked at before an agent is paid."""

from collections.abc import Iterator, Sequence

from pipeline.core.events import Noted, RunFinished, RunParked
from pipeline.core.excerpt import excerpt
from pipeline.core.outcomes import RunEnd, StopReason
from pipeline.core.state import RunState
from pipeline.engine.ground.record import Record
from pipeline.engine.running.attempt import StageRunner
from pipeline.engine.starting.preflight import Check, CheckStatus
from pipeline.errors import UsageProblem
from pipeline.files.clocks import WallClock
from pipeline.gates.bench import Bench
from pipeline.gates.checker_output import parts_of, why_not_looked
from pipeline.gates.functions import function_of
from pipeline.gates.testrun import TestRun
from pipeline.language.flow import GateName
from pipeline.language.target import Target

_TESTING_GATES = {GateName.RED, GateName.GREEN, GateName.PROOF, GateName.NOTICED}
_NAMED_MAX = 5
_FOUND_MAX_CHARACTERS = 300
_KNOWN_FAILURES = "on the base already"
_WORK_FIRST = (
    "Make this work first: {command}\nin a fresh clone; let workspace.setup bring programs and "
    "packages that it lacks, and `test: services` the servers"
)


def require_base(record: Record, runner: StageRunner, clock: WallClock) -> None:
    """Set the base up, and run its tests and checks, of every target, if gates ask for them.

    What fails already is noted. Raises `UsageProblem` when set-up fails (the run is parked) or
    tests or checks cannot be run (the run is over).
    """
    state = record.state
    if state.end is not None:
        return
    try:
        runner.workspaces.setups.require(runner.base.tree)
    except UsageProblem as exc:
        record.add(
            RunParked(at=clock(), stop=StopReason.SETUP_FAILED, reason=exc.what, hint=exc.hint)
        )
        again = f"pipeline resume {state.started.run_id}"
        raise UsageProblem(exc.what, f"{exc.hint}; then: {again}") from exc
    checks = list(_checks(state, runner))
    failed = [check.text for check in checks if check.status is CheckStatus.FAIL]
    if failed:
        reason = "; ".join(failed)
        stop = StopReason.BASE_UNUSABLE
        record.add(RunFinished(at=clock(), end=RunEnd.FAILED, reason=reason, stop=stop))
        raise _unusable(state)
    doubts = "; ".join(check.text for check in checks if check.status is CheckStatus.WARN)
    if doubts and doubts not in state.notes:
        record.add(Noted(at=clock(), text=doubts))


def _checks(state: RunState, runner: StageRunner) -> Iterator[Check]:
    gates = {gate for node in state.plan.nodes.values() for gate in node.gates}
    return examine(
        runner.bench,
        state.plan.targets,
        runner.base.tree,
        tests=bool(gates & _TESTING_GATES),
        checks=GateName.CHECKS in gates,
    )


def examine(
    bench: Bench,
    targets: Sequence[Target],
    tree: str,
    *,
    tests: bool = True,
    checks: bool = True,
    names: bool = False,
) -> Iterator[Check]:
    """Yield what comes of tests and checks of all targets on the tree of the base.

    With `names` the tests are run twice, to find those whose names are not the same each time.
    """
    for target in targets:
        if tests:
            bench.doing.step(f"tests of {target.name}: {target.test.command}")
            run = bench.baseline(tree, target)
            yield _tests(target, run)
            if names and run.tests and run.problem is None and not run.weak:
                yield from _unstable(target, run, bench.run(tree, target, rerun=True))
        for command in target.checks if checks else ():
            for part in parts_of(command):
                bench.doing.step(f"check of {target.name}: {part}")
                yield _check(bench, target, tree, part)
        bench.doing.step("")


def _tests(target: Target, run: TestRun) -> Check:
    """Check whether a target's tests can be collected, and which of them fail already."""
    name = f"tests of {target.name}"
    problem = run.problem.text if run.problem is not None else ""
    problem = problem or "; ".join(
        f"{file}: {reason.text}" for file, reason in run.uncollected.items()
    )
    if problem:
        return Check(
            name=name,
            status=CheckStatus.FAIL,
            text=f"the tests of the base cannot be run: {problem}",
            hint=_WORK_FIRST.format(command=target.test.command),
        )
    if run.weak and run.failing:
        last = run.tests[run.failing[0]].message
        return Check(
            name=name,
            status=CheckStatus.FAIL,
            text=f"the test command fails on the base, and only its exit status is known: {last}",
            hint=_WORK_FIRST.format(command=target.test.command),
        )
    if not run.failing and not run.tests and not run.weak:
        return Check(name=name, status=CheckStatus.OK, text="none yet; they can be run")
    if not run.failing:
        text = f"{len(run.tests)} test(s) pass in {run.duration_s:.1f} s"
        return Check(name=name, status=CheckStatus.OK, text="exit status 0" if run.weak else text)
    more = ", ..." if len(run.failing) > _NAMED_MAX else ""
    names = ", ".join(run.failing[:_NAMED_MAX]) + more
    known = f"{len(run.failing)} test(s) fail {_KNOWN_FAILURES}"
    text = f"{known} and are not held against a change: {names}"
    return Check(name=name, status=CheckStatus.WARN, text=text)


def _unstable(target: Target, first: TestRun, again: TestRun) -> Iterator[Check]:
    """Warn of tests that have another name in each run: a gate cannot follow them."""
    if again.problem is not None:
        return
    names = sorted(first.tests.keys() ^ again.tests.keys())
    if not names:
        return
    functions = [
        {function_of(name, one.tests[name].file) for name in one.tests} for one in (first, again)
    ]
    unstable = sorted(functions[0] ^ functions[1])
    if unstable:
        text = f"{len(unstable)} test(s) are not there in each run, and are set apart: "
    else:
        text = f"{len(names)} test(s) have another name in each run, and are compared by function: "
    text += ", ".join((unstable or names)[:_NAMED_MAX])
    yield Check(
        name=f"tests of {target.name}",
        status=CheckStatus.WARN,
        text=text + (", ..." if len(unstable or names) > _NAMED_MAX else ""),
        hint="Give parameters fixed ids, and sort what is collected",
    )


def _check(bench: Bench, target: Target, tree: str, command: str) -> Check:
    """Check whether a check can be run, and whether it finds something already."""
    name = f"check of {target.name}"
    done = bench.check(tree, command, target)
    if problem := why_not_looked(done):
        return Check(
            name=name,
            status=CheckStatus.FAIL,
            text=f"the check {command!r} of {target.name} cannot be run: {problem}",
            hint="Install it, let workspace.setup bring it, "
            "or take it out of the target's `checks`",
        )
    if done.code:
        found = excerpt(done.output.strip(), _FOUND_MAX_CHARACTERS)
        text = f"{command!r} finds something {_KNOWN_FAILURES}; only what is new will count: "
        text += found or f"exit status {done.code}, and no output"
        return Check(name=name, status=CheckStatus.WARN, text=text)
    return Check(name=name, status=CheckStatus.OK, text=command)


def _unusable(state: RunState) -> UsageProblem:
    """Return the problem of a base that cannot be tested, with what a person can do."""
    commands = "; ".join(target.test.command for target in state.plan.targets)
    first = f"Make this work on {state.started.base_branch} first: {commands}"
    return UsageProblem(state.reason, f"{first}\nSee all of it: pipeline doctor")
