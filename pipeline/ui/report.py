"""A run for people: what happened, what it changed, what to type next."""

from pathlib import Path

from pipeline.core.evidence import GateVerdict, ProofEvidence, new_tests
from pipeline.core.outcomes import StopReason
from pipeline.core.state import RunState
from pipeline.engine.looking.result import RunResult
from pipeline.language.flow import GateName
from pipeline.repo.changes import changes
from pipeline.repo.store import Store
from pipeline.ui.text import Colour, Printer, seconds

_SURVIVORS_MAX = 5
_TESTS_MAX = 12


def show(printer: Printer, result: RunResult, *, stages: bool = True) -> None:
    """Print a run: one verdict line, then its stages, gates and notes."""
    about = f"{result.workflow}, {result.run_id}, {seconds(result.duration_s)}"
    printer.line(f"{printer.state(result.state)}  {result.feature}  ({about})")
    if result.reason:
        printer.line(f"  {result.reason}")
    if result.pr is not None and result.pr.state != "open":
        printer.line(f"  pull request {result.pr.number} is {result.pr.state}")
    for note in result.notes:
        printer.line(f"  note: {note}")
    _show_diagnosis(printer, result)
    if stages:
        printer.line()
        rows = [
            [
                view.state,
                name,
                str(view.attempts or ""),
                seconds(view.duration_s) if view.duration_s else "",
                view.agent,
                view.reason[:90],
            ]
            for name, view in result.stages.items()
        ]
        printer.table(["state", "stage", "attempts", "took", "agent", "reason"], rows)
    if result.workspace:
        printer.line(
            f"  workspace {result.workspace}; {result.disk_bytes / 1e6:.1f} MB on the disk in all"
        )
    if result.gates:
        printer.line()
        rows = [
            [
                gate.stage,
                gate.gate,
                GateVerdict(gate.verdict).words,
                gate.tree[:12],
                gate.detail[:110],
            ]
            for gate in result.gates
        ]
        printer.table(["stage", "gate", "result", "tree", "detail"], rows)


def _show_diagnosis(printer: Printer, result: RunResult) -> None:
    """Print what an agent found to be the cause of the failure."""
    found = result.diagnosis
    if found is None:
        return
    printer.line(f"  {found.stage} says: {found.cause}")
    if found.next_step:
        printer.line(f"  first step: {found.next_step}")
    printer.line(f"  all of it: {_relative(found.folder)}")


def show_outcome(
    printer: Printer, result: RunResult, state: RunState, store: Store, *, hints: bool = True
) -> None:
    """Print the end of a run.

    Tests before and after, change, pull request, and what to type next.
    """
    red = state.newest_gate(GateName.RED, passed=True)
    tests = list(new_tests(red, state.newest_gate(GateName.GREEN)))
    if tests:
        printer.line()
        rows = [[test.name.rpartition("::")[2], *test.words] for test in tests[:_TESTS_MAX]]
        printer.table(["new test", "before", "after"], rows)
        if len(tests) > _TESTS_MAX:
            printer.line(f"and {len(tests) - _TESTS_MAX} more")
    _show_proof(printer, result)
    if result.head:
        printer.line()
        files = changes(store, result.base, store.tree_of(result.head))
        rows = [[change.path, change.what, change.lines] for change in files]
        printer.table(["changed", "", "lines"], rows)
        printer.line()
        for commit in result.commits:
            printer.line(f"{printer.paint(commit.sha[:10], Colour.YELLOW)} {commit.subject}")
    if result.diagnosis is not None:
        printer.line()
        _show_diagnosis(printer, result)
    printer.line()
    for label, value in _places(result):
        printer.line(f"{label:<13} {value}")
    for hint in next_steps(result) if hints else []:
        printer.line(f"{'next':<13} {hint}")


def _show_proof(printer: Printer, result: RunResult) -> None:
    """Print how many faults the tests noticed, and the others: a reviewer looks there first."""
    proof = result.tests.proof.evidence if result.tests.proof is not None else None
    faults = proof.faults if isinstance(proof, ProofEvidence) else None
    if faults is None:
        return
    printer.line()
    if not faults.tried and not faults.bodies_tried:
        printer.line(f"proof: no fault was put into the change: {faults.why}")
        return
    more = f"; {faults.noticed_by_old} by old tests alone" if faults.noticed_by_old else ""
    more += f" ({faults.not_tried} more not tried)" if faults.not_tried else ""
    count = f"{faults.noticed} of {faults.tried}"
    bodies = f", {faults.bodies_noticed} of {faults.bodies_tried} bodies taken away"
    printer.line(
        f"proof: {count} faults put into the change were noticed by its tests"
        f"{bodies if faults.bodies_tried else ''}{more}"
    )
    for survivor in faults.survivors[:_SURVIVORS_MAX]:
        printer.line(f"  not noticed: {survivor}")


def next_steps(result: RunResult) -> list[str]:
    """Return the commands that fit a run's state."""
    run = result.run_id
    match result.state:
        case "done" if result.pr is not None:
            words = ("diff", "merge") if result.pr.state == "open" else ("show",)
            return [f"pipeline pr {word} {result.pr.number}" for word in words]
        case "done":
            return (
                [f"git log -p {result.base[:12]}..{result.branch}"]
                if result.branch
                else [f"pipeline show {run}"]
            )
        case "failed":
            again = [f"pipeline retry {run} {result.decided_by or 'STAGE'}"]
            remedies = list(result.diagnosis.remedies) if result.diagnosis is not None else again
            return [
                f"pipeline show {run}",
                f"pipeline logs {run} --failed",
                *remedies,
                f"pipeline rollback {run}",
            ]
        case "nothing_to_do":
            return [f"pipeline show {run}", f"pipeline retry {run} {result.decided_by}"]
        case "waiting":
            return _answers(result)
        case "cancelled":
            return [f"pipeline rollback {run}"]
        case "running":
            return [f"pipeline status {run}", f"pipeline cancel {run}"]
        case _:
            return [f"pipeline resume {run}", f"pipeline cancel {run}"]


def _answers(result: RunResult) -> list[str]:
    """Return the commands that answer what a run waits for."""
    run = result.run_id
    if result.stop is StopReason.ANSWER_WANTED and not result.questions:
        return [f"pipeline explain {run}"]
    if not result.questions:
        return [
            f"pipeline explain {run}",
            f"pipeline resume {run} --usd N (or --tokens N, --wall T)",
        ]
    if any(result.stages[stage].agent for stage in result.questions if stage in result.stages):
        return [f"pipeline answer {run} -m ...", f"pipeline answer {run} stop"]
    return [
        f"pipeline explain {run}",
        f"pipeline answer {run} approve",
        f"pipeline answer {run} revise -m ...",
    ]


def _places(result: RunResult) -> list[tuple[str, str]]:
    out = []
    if result.pr is not None:
        draft = ", draft" if result.pr.draft else ""
        out.append(
            ("pull request", f"{result.pr.number} ({result.pr.state}{draft}) {result.pr.url}")
        )
    if result.branch:
        out.append(("branch", result.branch))
    return [*out, ("run folder", _relative(result.run_dir))]


def _relative(path: str) -> str:
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
