"""Gate `proof`: the new tests notice if the change is missing, or if a small part of it is wrong.

First the whole source change is removed: the new tests must fail again. Then single faults are put
into the changed functions, one at a time (`gates/faults`). The gate reports how many of them the
tests notice, and lists the survivors.
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
from pipeline.gates.faults import Fault, faults
from pipeline.gates.testrun import TestOutcome
from pipeline.language import globs
from pipeline.language.flow import GateName
from pipeline.language.target import Target

_WHOLE_SUITE_S = 3.0
"""A faster suite runs as a whole for every fault; of a slower one only the new tests' files."""

_CODE = (
    ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".go", ".rs", ".java", ".kt", ".rb", ".c", ".cc",
    ".cpp", ".cs",
)  # fmt: skip


class _FaultTally(msgspec.Struct):
    """The results of faults so far, for all targets together."""

    noticed: int = 0
    survivors: list[Survivor] = []
    untried: list[UntriedFile] = []
    not_tried: int = 0
    switched_off: bool = True

    def evidence(self) -> FaultEvidence:
        """Return the results as evidence; if no fault was tried, with the reason."""
        tried = self.noticed + len(self.survivors)
        return FaultEvidence(
            verdict=GateVerdict.PASSED if tried else GateVerdict.NOT_APPLICABLE,
            why="" if tried else self._why_none(),
            noticed=self.noticed,
            survivors=tuple(self.survivors),
            not_tried=self.not_tried,
            untried_files=tuple(self.untried),
        )

    def _why_none(self) -> str:
        if self.switched_off:
            return "no faults are wanted (proof: {faults: 0})"
        if self.untried:
            return "; ".join(f"{one.file}: {one.why}" for one in self.untried[:3])
        if self.not_tried:
            return "no time was left to try one"
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
    """Run the tests without the change.

    Returns new tests that still pass, what could not be verified, and how many tests fail again.
    """
    failures: list[str] = []
    unseen: list[str] = []
    failed = 0
    for target in context.affected():
        run = context.bench.run(without, target)
        if run.problem is not None:
            forged, unreadable = run_problem(run.problem)
            failures += forged
            unseen += unreadable
        before = context.bench.baseline(context.base_tree, target)
        new = delivered_tests(context.red, target.name)
        failures += [
            f"{name}: passes without the source change"
            for name in run.named(TestOutcome.PASSED)
            if name in new.tests or (run.tests[name].file in new.files and name not in before.tests)
        ]
        failed += len(new.tests.keys() & set(run.failing))
        failed += len(new.files.keys() & run.uncollected.keys())
    return failures, unseen, failed


def _summary(shown: FaultEvidence) -> str:
    if not shown.tried:
        return f"; no single fault was tried: {shown.why}"
    words = f"; {shown.noticed} of {shown.tried} single faults noticed"
    words += f"; {shown.not_tried} not tried (limit of number or time)" if shown.not_tried else ""
    names = ", ".join(f"{one.file} ({one.why})" for one in shown.untried_files[:3])
    return words + (f"; no faults tried in {names}" if names else "")


def _all_faults(context: GateContext) -> tuple[list[str], FaultEvidence]:
    """Try the faults of all targets; return the failures of the gate, and the evidence."""
    tried = _FaultTally(survivors=[], untried=[])
    failures: list[str] = []
    for target in context.affected():
        failures += _try_faults(context, target, tried)
    return failures, tried.evidence()


def _try_faults(context: GateContext, target: Target, tried: _FaultTally) -> list[str]:
    """Try the faults of one target within its limits; return the failures of the gate."""
    wanted = list(_planned(context, target))
    rules = target.proof
    tried.switched_off = tried.switched_off and not rules.faults
    deadline = Deadline(rules.timeout_s, context.awake)
    baseline = context.bench.baseline(context.base_tree, target)
    only = [] if baseline.duration_s < _WHOLE_SUITE_S else _new_test_files(context, target)
    noticed, survivors = _mutated(context, target, tried)
    for number, (path, fault) in enumerate(wanted):
        if number >= rules.faults or not deadline.left_s:
            tried.not_tried += len(wanted) - number
            break
        tree = context.store.with_file(context.tree, path, fault.text.encode())
        run = context.bench.run(tree, target, only)
        if run.failing or run.uncollected or run.problem is not None:
            noticed += 1
        else:
            survivors.append(Survivor(file=path, line=fault.line, what=fault.what))
    tried.noticed += noticed
    tried.survivors += survivors
    total = noticed + len(survivors)
    if noticed < rules.min * total:
        wanted_share = f"`proof.min` asks for {rules.min:g} of them"
        return [
            f"{noticed} of {total} faults were noticed, {wanted_share}",
            *(f"not noticed: {survivor}" for survivor in survivors),
        ]
    return []


def _mutated(
    context: GateContext, target: Target, tried: _FaultTally
) -> tuple[int, list[Survivor]]:
    """Run the project's own mutation testing tool, if any, for languages other than Python."""
    if not target.proof.faults:
        return 0, []
    texts = dict(_texts(context, target, _CODE))
    known = {path: both for path, both in texts.items() if path.endswith(mutators.ENDINGS)}
    mutated = mutators.MutationResult()
    if known:
        mutated = mutators.stryker(context.bench, context.tree, target, known)
    tried.untried += [
        UntriedFile(file=path, why="no mutation testing tool is known for this language")
        for path in texts
        if path not in known
    ]
    tried.untried += [
        UntriedFile(file=path, why=mutated.problem) for path in known if mutated.problem
    ]
    return mutated.noticed, list(mutated.survivors)


def _texts(
    context: GateContext, target: Target, endings: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the target's changed source files with these endings: path, text before and after."""
    for change in context.store.diff(context.base_tree, context.tree):
        path = change.path
        if (
            change.status != "D"
            and path.endswith(endings)
            and globs.matches_any(target.source, path)
        ):
            before = (context.store.read(context.base_tree, path) or b"").decode(errors="replace")
            yield (
                path,
                (before, (context.store.read(context.tree, path) or b"").decode(errors="replace")),
            )


def _planned(context: GateContext, target: Target) -> Iterator[tuple[str, Fault]]:
    """Yield the faults for a target's changed source files, files in turn."""
    queues = [
        (path, faults(before, after)) for path, (before, after) in _texts(context, target, (".py",))
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
