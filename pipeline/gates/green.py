"""Gate `green`: all tests pass on this very tree, the new ones among them, and nothing was hidden.

Failures that the base has already are set apart. A test that fails is run again: one that then
passes is flaky, is reported, and does not count as proof when it is new.
"""

from pipeline.core.evidence import GateResult, GreenEvidence
from pipeline.gates.base import GateContext, delivered_tests, judged, run_problem
from pipeline.gates.testrun import TestOutcome, TestRun
from pipeline.language.flow import GateName
from pipeline.language.target import Target

RERUNS = 2


def check(context: GateContext) -> GateResult:
    """Run all tests on the tree."""
    looks = [_GreenLook(context, target) for target in context.affected()]
    for look in looks:
        look.check()
    evidence = _evidence(looks)
    return judged(
        context,
        GateName.GREEN,
        failures=[line for look in looks for line in look.failures],
        unseen=[line for look in looks for line in look.unseen],
        good=_summary(evidence),
        evidence=evidence,
    )


def _evidence(looks: "list[_GreenLook]") -> GreenEvidence:
    return GreenEvidence(
        passed=sum(len(look.now.named(TestOutcome.PASSED)) for look in looks),
        failed=sum(len(look.now.failing) for look in looks),
        skipped=sum(len(look.now.named(TestOutcome.SKIPPED)) for look in looks),
        new={name: look.now.tests[name].file for look in looks for name in look.proven},
        flaky=tuple(name for look in looks for name in look.flaky),
        known_failures=tuple(name for look in looks for name in look.known),
    )


def _summary(evidence: GreenEvidence) -> str:
    summary = f"{evidence.passed} passed, {len(evidence.new)} of them new"
    summary += f"; flaky: {', '.join(evidence.flaky)}" if evidence.flaky else ""
    known = len(evidence.known_failures)
    return summary + (f"; {known} failed on the base already" if known else "")


class _GreenLook:
    """One target's tests on the tree in question, and what is wrong with them."""

    def __init__(self, context: GateContext, target: Target) -> None:
        self.context = context
        self.target = target
        self.before = context.bench.baseline(context.base_tree, target)
        self.now = context.bench.run(context.tree, target)
        delivered = delivered_tests(context.red, target.name)
        self.new, self.files, self.missing = delivered.tests, delivered.files, delivered.missing
        self.known = [name for name in self.now.failing if name in self.before.failing]
        self.flaky: list[str] = []
        self.proven: list[str] = []
        self.failures: list[str] = []
        self.unseen: list[str] = []

    def check(self) -> None:
        if self.now.problem is not None:
            self.failures, self.unseen = run_problem(self.now.problem)
            return
        failing = [name for name in self.now.failing if name not in self.known]
        self.flaky = self._flaky(failing)
        self.proven = [name for name in self.now.named(TestOutcome.PASSED) if self._is_new(name)]
        self.failures = [
            *(
                f"{file}: cannot be collected: {reason.what or reason.cause.words}: {reason.text}"
                for file, reason in self.now.uncollected.items()
            ),
            *(_failure(name, self.now) for name in failing if name not in self.flaky),
            *(
                f"{name}: a new test that is flaky proves nothing"
                for name in self.flaky
                if self._is_new(name)
            ),
            *self._hidden(),
            *self._foreign(),
        ]

    def _flaky(self, failing: list[str]) -> list[str]:
        """Run the files of failing tests again; name the tests that pass then."""
        left = list(failing)
        files = sorted({file for name in failing if (file := self.now.tests[name].file)})
        for _ in range(RERUNS if files and len(failing) < len(self.now.tests) else 0):
            again = self.context.bench.run(self.context.tree, self.target, files, again=True)
            passed = set(again.named(TestOutcome.PASSED))
            left = [name for name in left if name not in passed]
            if not left or passed.isdisjoint(failing):
                break
        return [name for name in failing if name not in left]

    def _is_new(self, name: str) -> bool:
        if name in self.new:
            return True
        return self.now.tests[name].file in self.files and name not in self.before.tests

    def _hidden(self) -> list[str]:
        """Name new tests that are gone or skipped, and old ones that vanished."""
        seen = set(self.now.named(TestOutcome.PASSED)) | set(self.now.failing)
        out = [
            f"{name}: a new test that was not run or was skipped"
            for name in self.new
            if name not in seen
        ]
        ran = {case.file for case in self.now.tests.values()}
        unseen = [
            file for file in self.files if file not in self.now.uncollected and file not in ran
        ]
        out += [f"{file}: none of its tests was run" for file in unseen]
        gone = [
            name for name in self.before.named(TestOutcome.PASSED) if name not in self.now.tests
        ]
        return out + [
            f"{name}: an old test that is gone" for name in gone if not self.now.is_blocked(name)
        ]

    def _foreign(self) -> list[str]:
        """Name source that was not imported from the checkout under test."""
        out = [
            f"{name} was imported from {file}, not from the tree under test; "
            f'let the tests find the source there, for pytest: pythonpath = ["src"]'
            for name, file in self.now.foreign.items()
        ]
        if self.now.uncollected or self.now.failing:
            return out
        return out + [
            f"{module} was missing when the tests were red "
            "and still is not one of the tree's own modules"
            for module in self.missing
            if module not in self.now.imported
        ]


def _failure(name: str, run: TestRun) -> str:
    case = run.tests[name]
    lines = case.message.splitlines() or [case.reason.text if case.reason else ""]
    if (
        run.weak
    ):  # the whole of what was printed is all there is, and what matters stands at its end
        return f"{name}: {' | '.join(line.strip() for line in lines)[-1200:]}"
    return f"{name}: {' | '.join(line.strip() for line in lines[:4])[:400]}"
