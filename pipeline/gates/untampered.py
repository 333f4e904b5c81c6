"""Gate `untampered`: the tests are byte for byte what the test stage delivered."""

from pipeline.core.evidence import GateResult, UntamperedEvidence
from pipeline.gates.base import GateContext, make_result
from pipeline.language import globs
from pipeline.language.flow import GateName


def check(context: GateContext) -> GateResult:
    """Compare the tests of the tree with those of the red gate's tree (without one, the base's)."""
    delivered = context.red.tree if context.red is not None else context.base_tree
    changed = [
        change.path
        for change in context.store.diff(delivered, context.tree)
        if globs.matches_any(context.tests(), change.path)
    ]
    return make_result(
        context,
        GateName.UNTAMPERED,
        failures=[f"{path}: changed after the tests were delivered" for path in changed],
        good=f"tests as delivered in tree {delivered[:12]}",
        evidence=UntamperedEvidence(delivered=delivered, changed=tuple(changed)),
    )
