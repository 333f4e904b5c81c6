"""Gate `proof`: the new tests notice if the change is missing, or if a small part of it is wrong.

First the whole source change is removed: the new tests must fail again, and they are really run.
Then single faults are put into the change, one at a time (`gates/faults`). The gate reports how
many of them the tests notice, and lists the survivors. A change of which no fault at all is noticed
does not pass: its tests, or what runs them, do not look at it.
"""

from collections.abc import Iterator

import msgspec

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
from pipeline.gates.faults import Fault, FaultKind, faults
from pipeline.gates.testrun import ProblemKind, TestOutcome, TestRun
from pipeline.language import globs
from pipeline.language.flow import GateName
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


class _FaultTally(msgspec.Struct):
    """The results of faults so far, for all targets together."""

    noticed: int = 0
    survivors: list[Survivor] = []
    bodies_noticed: int = 0
    bodies_missed: list[Survivor] = []
    broken: int = 0
    untried: list[UntriedFile] = []
    not_tried: int = 0
    switched_off: bool = True
    is_told: bool = False
    """Whether a fault was tried that is more than a hunk undone: those may not matter alone."""

    places: dict[str, bool] = {}
    """Every function and hunk that was asked about: whether any of its faults was noticed."""

    def add(self, path: str, fault: Fault, *, is_noticed: bool) -> None:
        """Count a fault that was tried to its end."""
        place = f"{path}: {fault.where}"
        self.places[place] = self.places.get(place, False) or is_noticed
        self.is_told = self.is_told or fault.kind is not FaultKind.HUNK
        survivor = Survivor(file=path, line=fault.line, what=fault.what)
        if fault.kind.is_body:
            self.bodies_noticed += is_noticed
            self.bodies_missed += [] if is_noticed else [survivor]
        else:
            self.noticed += is_noticed
            self.survivors += [] if is_noticed else [survivor]

    def evidence(self) -> FaultEvidence:
        """Return the results as evidence; if no fault was tried, with the reason."""
        bodies = self.bodies_noticed + len(self.bodies_missed)
        verdict = GateVerdict.NOT_APPLICABLE
        if self.noticed or self.bodies_noticed:
            verdict = GateVerdict.PASSED
        elif self.is_told:
            verdict = GateVerdict.FAILED
        return FaultEvidence(
            verdict=verdict,
            why=self._why_none() if verdict is GateVerdict.NOT_APPLICABLE else "",
            noticed=self.noticed,
            survivors=(*self.survivors, *self.bodies_missed),
            bodies_noticed=self.bodies_noticed,
            bodies_tried=bodies,
            broken=self.broken,
            not_tried=self.not_tried,
            untested=tuple(place for place, is_noticed in self.places.items() if not is_noticed),
            untried_files=tuple(self.untried),
        )

    def _why_none(self) -> str:
        if self.survivors:
            return "only hunks could be undone, one at a time, and no test notices one alone"
        if self.switched_off:
            return "no faults are wanted (proof: {faults: 0})"
        if self.untried:
            return "; ".join(f"{one.file}: {one.why}" for one in self.untried[:3])
        if self.not_tried:
            return "no time was left to try one"
        if self.broken:
            return f"{self.broken} could not be built or loaded, which proves nothing"
        return "the change has no line that a fault could be put into"


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
    if not shown.tried and not shown.bodies_tried:
        return f"; no single fault was tried: {shown.why}"
    words = f"; {shown.noticed} of {shown.tried} single faults noticed"
    if shown.bodies_tried:
        words += f", and {shown.bodies_noticed} of {shown.bodies_tried} bodies taken away"
    words += f"; {shown.not_tried} not tried (limit of number or time)" if shown.not_tried else ""
    words += f"; {shown.broken} could not be built" if shown.broken else ""
    words += f"; not tested: {', '.join(shown.untested[:5])}" if shown.untested else ""
    names = ", ".join(f"{one.file} ({one.why})" for one in shown.untried_files[:3])
    return words + (f"; only hunks were undone in {names}" if names else "")


def _all_faults(context: GateContext) -> tuple[list[str], FaultEvidence]:
    """Try the faults of all targets; return the failures of the gate, and the evidence."""
    tally = _FaultTally(survivors=[], bodies_missed=[], untried=[], places={})
    failures: list[str] = []
    for target in context.affected():
        failures += _try_faults(context, target, tally)
    shown = tally.evidence()
    if shown.verdict is GateVerdict.FAILED:
        failures += [
            (
                f"none of {len(shown.survivors)} faults put into the change was noticed, "
                "so the tests do not look at it"
            ),
            *(f"not noticed: {survivor}" for survivor in shown.survivors),
        ]
    return failures, shown


def _try_faults(context: GateContext, target: Target, tally: _FaultTally) -> list[str]:
    """Try the faults of one target within its limits; return the failures of the gate."""
    wanted = list(_planned(context, target))
    rules = target.proof
    tally.switched_off = tally.switched_off and not rules.faults
    deadline = Deadline(rules.timeout_s, context.awake)
    noticed_before, survived_before = tally.noticed, len(tally.survivors)
    _mutate(context, target, tally)
    baseline = context.bench.run(context.tree, target)
    only = [] if baseline.duration_s < _WHOLE_SUITE_S else _new_test_files(context, target)
    longest_s = max(_LOOPS_AFTER_S, _TIMES_AS_LONG * baseline.duration_s)
    for number, (path, fault) in enumerate(wanted):
        left_s = deadline.left_s
        if not left_s or (number >= rules.faults and not _is_last_question(tally, fault, rules)):
            tally.not_tried += 1
            continue
        tree = context.store.with_file(context.tree, path, fault.text.encode())
        run = context.bench.run(tree, target, only, timeout_s=min(longest_s, left_s))
        _count(tally, path, fault, run, baseline, is_cut_off=left_s < longest_s)
    noticed = tally.noticed - noticed_before
    survivors = tally.survivors[survived_before:]
    total = noticed + len(survivors)
    if noticed < rules.min * total:
        wanted_share = f"`proof.min` asks for {rules.min:g} of them"
        return [
            f"{noticed} of {total} faults were noticed, {wanted_share}",
            *(f"not noticed: {survivor}" for survivor in survivors),
        ]
    return []


def _is_last_question(tally: _FaultTally, fault: Fault, rules: Proof) -> bool:
    """Return whether to try a fault beyond the limit of number.

    Small faults can go unnoticed by honest tests. Before a change counts as one that no test looks
    at, a body is taken away.
    """
    is_unseen = not tally.noticed and not tally.bodies_noticed and not tally.bodies_missed
    return bool(rules.faults) and is_unseen and fault.kind.is_body


def _count(
    tally: _FaultTally,
    path: str,
    fault: Fault,
    run: TestRun,
    baseline: TestRun,
    *,
    is_cut_off: bool,
) -> None:
    """Count one fault by the run of the tests with it.

    One that cannot be built or loaded proves nothing, and so does a run that the gate's own time
    limit cut off; tests that loop have noticed it.
    """
    failing = set(run.failing) - set(baseline.failing)
    if run.problem is not None and run.problem.kind is ProblemKind.DID_NOT_END:
        if is_cut_off:
            tally.not_tried += 1
        else:
            tally.add(path, fault, is_noticed=True)
    elif failing:
        tally.add(path, fault, is_noticed=True)
    elif run.problem is not None and run.problem.kind is ProblemKind.TOO_MUCH_MEMORY:
        tally.not_tried += 1
    elif run.problem is not None or run.uncollected:
        tally.broken += 1
    else:
        tally.add(path, fault, is_noticed=False)


def _mutate(context: GateContext, target: Target, tally: _FaultTally) -> None:
    """Run the project's own mutation testing tool, if any, for languages other than Python."""
    if not target.proof.faults:
        return
    texts = {path: both for path, both in _texts(context, target) if not path.endswith(".py")}
    known = {path: both for path, both in texts.items() if path.endswith(mutators.ENDINGS)}
    mutated = mutators.MutationResult()
    if known:
        mutated = mutators.stryker(context.bench, context.tree, target, known)
    tally.untried += [
        UntriedFile(file=path, why="no mutation testing tool is known for this language")
        for path in texts
        if path not in known
    ]
    tally.untried += [
        UntriedFile(file=path, why=mutated.problem) for path in known if mutated.problem
    ]
    tally.noticed += mutated.noticed
    tally.survivors += mutated.survivors
    tally.is_told = tally.is_told or bool(mutated.survivors or mutated.noticed)


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


def _new_test_files(context: GateContext, target: Target) -> list[str]:
    changes = context.store.diff(context.base_tree, context.tree)
    return [
        one.path
        for one in changes
        if one.status != "D" and globs.matches_any(target.tests, one.path)
    ]
