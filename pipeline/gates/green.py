"""Gate `green`: all tests pass on this exact tree, including the new ones, and none was hidden.

Failures that the base has as well are listed apart. A test that fails is run again: if it passes
then, it is flaky, which is reported, and a new test that is flaky proves nothing.
"""

from pipeline.core.evidence import GateResult, GreenEvidence
from pipeline.gates.base import GateContext, delivered_tests, make_result, run_problem
from pipeline.gates.testrun import TestOutcome, TestRun
from pipeline.language.flow import GateName
from pipeline.language.target import Target

RERUNS = 2


def check(context: GateContext) -> GateResult:
    """Run all tests on the tree."""
    checks = [_GreenCheck(context, target) for target in context.affected()]
    for item in checks:
        item.check()
    evidence = _evidence(checks)
    return make_result(
        context,
        GateName.GREEN,
        failures=[line for item in checks for line in item.failures],
        unseen=[line for item in checks for line in item.unseen],
        good=_summary(evidence),
        evidence=evidence,
    )


def _evidence(checks: "list[_GreenCheck]") -> GreenEvidence:
    return GreenEvidence(
        passed=sum(len(item.now.named(TestOutcome.PASSED)) for item in checks),
        failed=sum(len(item.now.failing) for item in checks),
        skipped=sum(len(item.now.named(TestOutcome.SKIPPED)) for item in checks),
        new={name: item.now.tests[name].file for item in checks for name in item.proven},
        flaky=tuple(name for item in checks for name in item.flaky),
        known_failures=tuple(name for item in checks for name in item.known),
    )


def _summary(evidence: GreenEvidence) -> str:
    summary = f"{evidence.passed} passed, {len(evidence.new)} of them new"
    summary += f"; flaky: {', '.join(evidence.flaky)}" if evidence.flaky else ""
    known = len(evidence.known_failures)
    return summary + (f"; {known} failed on the base already" if known else "")


class _GreenCheck:
    """The tests of one target on the tree, and what is wrong with them."""

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
        """Run the files of failing tests again; return the tests that pass then."""
        still_failing = list(failing)
        files = sorted({file for name in failing if (file := self.now.tests[name].file)})
        for _ in range(RERUNS if files and len(failing) < len(self.now.tests) else 0):
            again = self.context.bench.run(self.context.tree, self.target, files, rerun=True)
            passed = set(again.named(TestOutcome.PASSED))
            still_failing = [name for name in still_failing if name not in passed]
            if not still_failing or passed.isdisjoint(failing):
                break
        return [name for name in failing if name not in still_failing]

    def _is_new(self, name: str) -> bool:
        if name in self.new:
            return True
        return self.now.tests[name].file in self.files and name not in self.before.tests

    def _hidden(self) -> list[str]:
        """Return messages about new tests that did not run, and old tests that are gone."""
        seen = set(self.now.named(TestOutcome.PASSED)) | set(self.now.failing)
        messages = [
            f"{name}: a new test that was not run or was skipped"
            for name in self.new
            if name not in seen
        ]
        ran = {case.file for case in self.now.tests.values()}
        unseen = [
            file for file in self.files if file not in self.now.uncollected and file not in ran
        ]
        messages += [f"{file}: none of its tests was run" for file in unseen]
        gone = [
            name for name in self.before.named(TestOutcome.PASSED) if name not in self.now.tests
        ]
        return messages + [
            f"{name}: an old test that is gone" for name in gone if not self.now.is_blocked(name)
        ]

    def _foreign(self) -> list[str]:
        """Return messages about source that was not imported from the tree under test."""
        messages = [
            f"{name} was imported from {file}, not from the tree under test; "
            f'let the tests find the source there, for pytest: pythonpath = ["src"]'
            for name, file in self.now.foreign.items()
        ]
        if self.now.uncollected or self.now.failing:
            return messages
        return messages + [
            f"{module} was missing when the tests were red "
            "and still is not one of the tree's own modules"
            for module in self.missing
            if module not in self.now.imported
        ]


def _failure(name: str, run: TestRun) -> str:
    case = run.tests[name]
    lines = case.message.splitlines() or [case.reason.text if case.reason else ""]
    # A weak run has one test; its message is the whole output, with the important part at the end.
    if run.weak:
        return f"{name}: {' | '.join(line.strip() for line in lines)[-1200:]}"
    return f"{name}: {' | '.join(line.strip() for line in lines[:4])[:400]}"
