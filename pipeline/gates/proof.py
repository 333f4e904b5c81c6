"""Gate `proof`: the new tests notice if the change is missing, or if a small part of it is wrong.

First the whole source change is removed: the new tests must fail again, and they are really run.
Then single faults are put into the change, one at a time (`gates/faults`). The gate reports how
many of them the new tests notice, and lists the survivors; what only old tests notice is counted
apart. A change of which the new tests notice no fault at all does not pass: they, or what runs
them, do not look at it.
"""

from collections.abc import Sequence

from pipeline.core.evidence import (
    FaultEvidence,
    GateResult,
    GateVerdict,
    NewTests,
    ProofEvidence,
    RedEvidence,
    Survivor,
)
from pipeline.gates.base import GateContext, delivered_tests, make_result, run_problem
from pipeline.gates.delivery import DeliveredNames
from pipeline.gates.fault_tally import FaultTally, faults_in_words
from pipeline.gates.fault_trial import Trial, try_faults
from pipeline.gates.testrun import TestOutcome
from pipeline.language import globs
from pipeline.language.flow import GateName
from pipeline.language.schemas import TestDelivery
from pipeline.language.target import Proof, Target


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
        good += faults_in_words(shown)
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


def _all_faults(context: GateContext) -> tuple[list[str], FaultEvidence]:
    """Try the faults of all targets; return the failures of the gate, and the evidence."""
    tally = FaultTally(survivors=[], bodies_missed=[], untried=[], places={})
    failures: list[str] = []
    for target in context.affected():
        noticed, survived = tally.noticed, len(tally.survivors)
        new = _New(context, target)
        try_faults(
            Trial(
                context=context,
                target=target,
                before=context.base_tree,
                tree=context.tree,
                counted=new,
                files=new.paths,
            ),
            tally,
        )
        failures += _too_few(tally.noticed - noticed, tally.survivors[survived:], target.proof)
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


def _too_few(noticed: int, survivors: Sequence[Survivor], rules: Proof) -> list[str]:
    """Return the failures where fewer faults were noticed than the flow asks for."""
    total = noticed + len(survivors)
    if noticed >= rules.min * total:
        return []
    return [
        f"{noticed} of {total} faults were noticed, `proof.min` asks for {rules.min:g} of them",
        *(f"not noticed: {survivor}" for survivor in survivors),
    ]
