"""Gate `proof`: the new tests notice if the change is missing, or if a small part of it is wrong.

First the whole source change is removed: the new tests must fail again, and they are really run.
Then single faults are put into the change, one at a time (`gates/faults`). The gate reports how
many of them the new tests notice, and lists the survivors; what only old tests notice is counted
apart. A change of which the new tests notice no fault at all does not pass: they, or what runs
them, do not look at it.
"""

from collections.abc import Iterator, Sequence

from pipeline.core.evidence import (
    FaultEvidence,
    GateResult,
    GateVerdict,
    NewTests,
    ProofEvidence,
    RedEvidence,
    Survivor,
    UntriedFile,
)
from pipeline.files.clocks import Deadline
from pipeline.gates import mutators
from pipeline.gates.base import GateContext, delivered_tests, make_result, run_problem
from pipeline.gates.delivery import DeliveredNames
from pipeline.gates.fault_tally import FaultTally
from pipeline.gates.faults import Fault, faults
from pipeline.gates.testrun import ProblemKind, TestOutcome, TestRun
from pipeline.language import globs
from pipeline.language.flow import GateName
from pipeline.language.schemas import TestDelivery
from pipeline.language.target import Proof, Target

_WHOLE_SUITE_S = 3.0
"""A faster suite runs as a whole for every fault; of a slower one only the new tests' files."""

_LOOPS_AFTER_S, _TIMES_AS_LONG = 5.0, 4.0
"""A fault is stopped, and counts as noticed, when the tests take so much longer than on the base:
it loops."""

_CODE = (
    ".py", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".go", ".rs", ".java", ".kt", ".rb", ".c",
    ".cc", ".cpp", ".cs",
)  # fmt: skip


def check(context: GateContext) -> GateResult:
    """Run the new tests with the source as it was on the base, then with single faults in it."""
    evidence = context.red.evidence if context.red is not None else None
    new = evidence.all if isinstance(evidence, RedEvidence) else NewTests()
    count = len(new.tests) + len(new.files)
    if not count:
        reason = "no red gate came before, so nothing is known to be new"
        return make_result(context, GateName.PROOF, unseen=[reason])
    without = context.store.graft(context.tree, context.base_tree, context.sources())
    if without == context.tree:
        return make_result(context, GateName.PROOF, failures=["the source is unchanged"])
    failures, unseen, failed = _run_without_change(context, without)
    good = f"without the source change, {failed} of {count} new test(s) or file(s) fail again"
    proof = ProofEvidence(failed_again=failed, new=count)
    if not failures and not unseen:
        failures, shown = _all_faults(context)
        proof = ProofEvidence(failed_again=failed, new=count, faults=shown)
        good += _summary(shown)
    return make_result(
        context, GateName.PROOF, failures=failures, unseen=unseen, good=good, evidence=proof
    )


def _run_without_change(context: GateContext, without: str) -> tuple[list[str], list[str], int]:
    """Run the tests without the change: really, although their tree may be one that was run before.

    Returns new tests that still pass, what could not be verified, and how many tests fail again.
    """
    failures: list[str] = []
    unseen: list[str] = []
    failed = 0
    for target in context.affected():
        run = context.bench.run(without, target, rerun=True)
        if run.problem is not None:
            forged, unreadable = run_problem(run.problem)
            failures += forged
            unseen += unreadable
        before = context.bench.baseline(context.base_tree, target)
        new = delivered_tests(context.red, target.name)
        failures += [
            f"{name}: passes without the source change"
            for name in run.named(TestOutcome.PASSED)
            if name in new.tests
            or (
                run.tests[name].file in new.files
                and name not in before.tests
                and name not in new.passing
            )
        ]
        failed += len(new.tests.keys() & set(run.failing))
        failed += len(new.files.keys() & run.uncollected.keys())
    return failures, unseen, failed


def _summary(shown: FaultEvidence) -> str:
    if not shown.tried and not shown.bodies_tried and not shown.noticed_by_old:
        return f"; no single fault was tried: {shown.why}"
    words = f"; {shown.noticed} of {shown.tried} single faults noticed"
    if shown.bodies_tried:
        words += f", and {shown.bodies_noticed} of {shown.bodies_tried} bodies taken away"
    words += f"; {shown.noticed_by_old} noticed by old tests alone" if shown.noticed_by_old else ""
    words += f"; {shown.not_tried} not tried (limit of number or time)" if shown.not_tried else ""
    words += f"; {shown.broken} could not be built" if shown.broken else ""
    words += f"; not tested: {', '.join(shown.untested[:5])}" if shown.untested else ""
    names = ", ".join(f"{one.file} ({one.why})" for one in shown.untried_files[:3])
    return words + (f"; only hunks were undone in {names}" if names else "")


def _all_faults(context: GateContext) -> tuple[list[str], FaultEvidence]:
    """Try the faults of all targets; return the failures of the gate, and the evidence."""
    tally = FaultTally(survivors=[], bodies_missed=[], untried=[], places={})
    failures: list[str] = []
    for target in context.affected():
        failures += _try_faults(context, target, tally)
    shown = tally.evidence()
    if shown.verdict is GateVerdict.FAILED:
        tried = len(shown.survivors) + shown.noticed_by_old
        old = f"; old tests noticed {shown.noticed_by_old}" if shown.noticed_by_old else ""
        failures += [
            (
                f"none of {tried} faults put into the change was noticed by a new test{old}, "
                "so the new tests do not look at it; let them assert what it does"
            ),
            *(f"not noticed: {survivor}" for survivor in shown.survivors),
        ]
    return failures, shown


class _New:
    """The tests of a target that count as new when a fault is tried."""

    def __init__(self, context: GateContext, target: Target) -> None:
        evidence = context.red.evidence if context.red is not None else None
        delivery = evidence.delivery if isinstance(evidence, RedEvidence) else TestDelivery()
        self.delivered = delivered_tests(context.red, target.name)
        self.paths = [
            one.path
            for one in context.store.diff(context.base_tree, context.tree)
            if one.status != "D" and globs.matches_any(target.tests, one.path)
        ]
        self._old = context.bench.baseline(context.base_tree, target).tests
        self._names = DeliveredNames(delivery)

    def has(self, name: str, file: str) -> bool:
        """Return whether a reported test was delivered: by name, or in a file that was."""
        is_old = name in self._old and not self._names.is_changed(name)
        return name in self.delivered.tests or (file in self.delivered.files and not is_old)

    def has_title(self, title: str, file: str) -> bool:
        """Return whether a test was delivered that Stryker calls by its title alone."""
        names = (name.rpartition("::")[2].replace(" > ", " ") for name in self.delivered.tests)
        return file in self.delivered.files or title in names


def _try_faults(context: GateContext, target: Target, tally: FaultTally) -> list[str]:
    """Try the faults of one target within its limits; return the failures of the gate."""
    rules, new = target.proof, _New(context, target)
    tally.switched_off = tally.switched_off and not rules.faults
    deadline = Deadline(rules.timeout_s, context.awake)
    noticed_before, survived_before = tally.noticed, len(tally.survivors)
    _mutate(context, target, tally, new)
    baseline = context.bench.run(context.tree, target)
    usual_s = max(_LOOPS_AFTER_S, _TIMES_AS_LONG * baseline.duration_s)
    for number, (path, fault) in enumerate(list(_planned(context, target))):
        if not deadline.left_s or (
            number >= rules.faults and not _is_last_question(tally, fault, rules)
        ):
            tally.not_tried += 1
            continue
        tree = context.store.with_file(context.tree, path, fault.text.encode())
        only = [] if baseline.duration_s < _WHOLE_SUITE_S else new.paths
        is_cut_off = deadline.left_s < usual_s
        run = context.bench.run(tree, target, only, timeout_s=min(usual_s, deadline.left_s))
        if not only and _is_endless(run) and deadline.left_s >= usual_s:
            # Nobody knows whose tests loop. The files of the new ones alone tell.
            run = context.bench.run(tree, target, new.paths, timeout_s=usual_s)
            if not _is_endless(run) and not run.problem and not _noticed(run, baseline, new):
                tally.add(path, fault, is_noticed=False, by_old=True)
                continue
        _count(tally, path, fault, run, baseline, new, is_cut_off=is_cut_off)
    return _too_few(tally.noticed - noticed_before, tally.survivors[survived_before:], rules)


def _too_few(noticed: int, survivors: Sequence[Survivor], rules: Proof) -> list[str]:
    """Return the failures where fewer faults were noticed than the flow asks for."""
    total = noticed + len(survivors)
    if noticed >= rules.min * total:
        return []
    return [
        f"{noticed} of {total} faults were noticed, `proof.min` asks for {rules.min:g} of them",
        *(f"not noticed: {survivor}" for survivor in survivors),
    ]


def _is_endless(run: TestRun) -> bool:
    return run.problem is not None and run.problem.kind is ProblemKind.DID_NOT_END


def _noticed(run: TestRun, baseline: TestRun, new: _New) -> bool:
    """Return whether a new test fails that passes without the fault."""
    failing = set(run.failing) - set(baseline.failing)
    return any(new.has(name, run.tests[name].file) for name in failing)


def _is_last_question(tally: FaultTally, fault: Fault, rules: Proof) -> bool:
    """Return whether to try a fault beyond the limit of number.

    Small faults can go unnoticed by honest tests, and old functions that were touched are noticed
    by old tests alone. Before a change counts as one that no new test looks at, bodies are taken
    away, until one is noticed.
    """
    is_unseen = not tally.noticed and not tally.bodies_noticed
    return bool(rules.faults) and is_unseen and fault.kind.is_body


def _count(
    tally: FaultTally,
    path: str,
    fault: Fault,
    run: TestRun,
    baseline: TestRun,
    new: _New,
    *,
    is_cut_off: bool,
) -> None:
    """Count one fault by the run of the tests with it.

    One that cannot be built or loaded proves nothing, and so does a run that the gate's own time
    limit cut off; tests that loop have noticed it.
    """
    failing = set(run.failing) - set(baseline.failing)
    if _is_endless(run):
        if is_cut_off:
            tally.not_tried += 1
        else:
            tally.add(path, fault, is_noticed=True)
    elif failing:
        is_noticed = _noticed(run, baseline, new)
        tally.add(path, fault, is_noticed=is_noticed, by_old=not is_noticed)
    elif run.problem is not None and run.problem.kind is ProblemKind.TOO_MUCH_MEMORY:
        tally.not_tried += 1
    elif run.problem is not None or run.uncollected:
        tally.broken += 1
    else:
        tally.add(path, fault, is_noticed=False)


def _mutate(context: GateContext, target: Target, tally: FaultTally, new: _New) -> None:
    """Run the project's own mutation testing tool, if any, for languages other than Python."""
    if not target.proof.faults:
        return
    texts = {path: both for path, both in _texts(context, target) if not path.endswith(".py")}
    known = {path: both for path, both in texts.items() if path.endswith(mutators.ENDINGS)}
    mutated = mutators.MutationResult()
    if known:
        mutated = mutators.stryker(context.bench, context.tree, target, known, new.has_title)
    tally.untried += [
        UntriedFile(file=path, why="no mutation testing tool is known for this language")
        for path in texts
        if path not in known
    ]
    tally.untried += [
        UntriedFile(file=path, why=mutated.problem) for path in known if mutated.problem
    ]
    tally.noticed += mutated.noticed
    tally.noticed_by_old += mutated.noticed_by_old
    tally.survivors += mutated.survivors
    tally.is_told = tally.is_told or bool(
        mutated.survivors or mutated.noticed or mutated.noticed_by_old
    )


def _texts(context: GateContext, target: Target) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the target's changed source files of code: path, text before and after."""
    for change in context.store.diff(context.base_tree, context.tree):
        path = change.path
        if change.status == "D" or not path.endswith(_CODE):
            continue
        if globs.matches_any(target.source, path):
            before = context.store.read(context.base_tree, path) or b""
            after = context.store.read(context.tree, path) or b""
            yield path, (before.decode(errors="replace"), after.decode(errors="replace"))


def _planned(context: GateContext, target: Target) -> Iterator[tuple[str, Fault]]:
    """Yield the faults for a target's changed source files, files in turn."""
    queues = [
        (path, faults(before, after, is_python=path.endswith(".py")))
        for path, (before, after) in _texts(context, target)
    ]
    for number in range(max((len(one) for _, one in queues), default=0)):
        yield from ((path, one[number]) for path, one in queues if number < len(one))
