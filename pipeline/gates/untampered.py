"""Gate `untampered`: the tests are byte for byte what the test stage delivered."""

from pipeline.core.events import GateResult
from pipeline.gates.base import GateContext, verdict
from pipeline.language import globs
from pipeline.language.flow import GateName


def check(context: GateContext) -> GateResult:
    """Compare the tests of the tree with those that the red gate saw (with the base's, if there was none)."""
    delivered = context.red.tree if context.red is not None else context.base_tree
    changed = [
        f"{change.path}: changed after the tests were delivered"
        for change in context.store.diff(delivered, context.tree)
        if globs.matches_any(context.tests(), change.path)
    ]
    return verdict(
        context, GateName.UNTAMPERED, changed, f"tests as delivered in tree {delivered[:12]}"
    )
