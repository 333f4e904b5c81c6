"""Gate `proof`: with the source change taken out again, the new tests fail again.

This shows that it is this change, and not a changed configuration or test helper, that turned the new
tests green.
"""

from pipeline.core.events import GateResult
from pipeline.gates.base import GateContext, verdict
from pipeline.gates.red import new_tests
from pipeline.gates.testrun import TestOutcome
from pipeline.language.flow import GateName


def check(context: GateContext) -> GateResult:
    """Run the new tests on the tree with the source as it was on the base."""
    new, files, _ = new_tests(context.red)
    if not new and not files:
        return verdict(context, GateName.PROOF, ["no red gate came before, so nothing is known to be new"], "")
    without = context.store.graft(context.tree, context.base_tree, context.sources())
    if without == context.tree:
        return verdict(context, GateName.PROOF, ["the source is unchanged"], "")
    still: list[str] = []
    failed = 0
    modules = tuple(file.removesuffix(".py").replace("/", ".") for file in files)
    for target in context.targets:
        run = context.bench.run(without, target)
        if run.problem:
            still.append(run.problem)
        passed = run.named(TestOutcome.PASSED)
        still += [f"{name}: passes without the source change" for name in passed if name in new]
        still += [
            f"{name}: passes without the source change"
            for name in passed
            if modules
            and name.startswith(modules)
            and name not in context.bench.baseline(context.base_tree, target).tests
        ]
        failed += len([name for name in run.failing if name in new]) + len(
            [file for file in files if file in run.uncollected]
        )
    good = f"without the source change, {failed} of {len(new) + len(files)} new test(s) or file(s) fail again"
    return verdict(context, GateName.PROOF, still, good, {"failed_again": failed, "of": len(new) + len(files)})
