"""Gate `noticed`: of faults in what was restructured, the tests notice as many as before.

For work that changes how something is done, not what it does. Single faults are put into the lines
that the change touches, once as they are on the base and once as they are now; all tests count. The
gate fails when a smaller share is noticed than on the base, and there is a function in which no
fault is noticed, which the base had not.
"""

from pipeline.core.evidence import FaultEvidence, GateResult, NoticedEvidence
from pipeline.gates.base import GateContext, make_result
from pipeline.gates.fault_tally import FaultTally, faults_in_words
from pipeline.gates.fault_trial import Trial, try_faults
from pipeline.language.flow import GateName


def check(context: GateContext) -> GateResult:
    """Compare the faults that tests notice on the base with those that they notice now."""
    now = _tried(context, context.base_tree, context.tree)
    if not now.all_tried:
        why = f"no single fault was tried: {now.why}"
        return make_result(context, GateName.NOTICED, not_applicable=why)
    before = _tried(context, context.tree, context.base_tree)
    lost = [] if before.untested else list(now.untested)
    failures = [f"no fault in {place} is noticed by any test" for place in lost]
    if failures and _share(now) < _share(before):
        survivors = [f"not noticed: {survivor}" for survivor in now.survivors]
        compared = f"{now.all_noticed} of {now.all_tried} faults, {_words(before)} on the base"
        failures = [f"the tests notice less than before: {compared}", *failures, *survivors]
    else:
        failures = []
    return make_result(
        context,
        GateName.NOTICED,
        failures=failures,
        good=f"now{faults_in_words(now).replace(';', ':', 1)}; on the base {_words(before)}",
        evidence=NoticedEvidence(before=before, now=now),
    )


class _AnyTest:
    """Every test counts."""

    def has(self, name: str, file: str) -> bool:
        return bool(name or file)

    def has_title(self, title: str, file: str) -> bool:
        return bool(title or file)


def _tried(context: GateContext, before: str, tree: str) -> FaultEvidence:
    """Try faults in the lines of a tree that differ from another tree."""
    tally = FaultTally(survivors=[], bodies_missed=[], untried=[], places={})
    for target in context.affected():
        trial = Trial(
            context=context,
            target=target,
            before=before,
            tree=tree,
            counted=_AnyTest(),
            hunks=False,
        )
        try_faults(trial, tally)
    return tally.evidence()


def _share(shown: FaultEvidence) -> float:
    return shown.all_noticed / shown.all_tried if shown.all_tried else 0.0


def _words(shown: FaultEvidence) -> str:
    return f"{shown.all_noticed} of {shown.all_tried}" if shown.all_tried else "none was tried"
