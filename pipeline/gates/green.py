"""Gate `green`: all tests pass on this very tree, the new ones among them, and nothing was hidden.

Failures that the base has already are set apart. A test that fails is run again: one that then
passes is flaky, is reported, and does not count as proof when it is new.
"""

from pipeline.core.events import GateResult
from pipeline.gates.base import GateContext, verdict
from pipeline.gates.red import new_tests
from pipeline.gates.testrun import TestOutcome, TestRun
from pipeline.language.flow import GateName
from pipeline.language.target import Target

RERUNS = 2


def check(context: GateContext) -> GateResult:
    """Run all tests on the tree."""
    problems: list[str] = []
    counts = {"tests_passed": 0, "tests_failed": 0, "tests_skipped": 0}
    flaky: list[str] = []
    known: list[str] = []
    proven: list[str] = []
    where: dict[str, str] = {}
    for target in context.affected():
        one = _Target(context, target)
        problems += one.problems()
        flaky += one.flaky
        known += one.known
        proven += one.proven
        where |= {name: one.now.tests[name].file for name in one.proven}
        counts["tests_passed"] += len(one.now.named(TestOutcome.PASSED))
        counts["tests_failed"] += len(one.now.failing)
        counts["tests_skipped"] += len(one.now.named(TestOutcome.SKIPPED))
    good = f"{counts['tests_passed']} passed, {len(proven)} of them new"
    good += f"; flaky: {', '.join(flaky)}" if flaky else ""
    good += f"; {len(known)} failed on the base already" if known else ""
    evidence: dict[str, object] = {
        **counts,
        "new": proven,
        "new_in": where,
        "flaky": flaky,
        "known": known,
    }
    return verdict(context, GateName.GREEN, problems, good, evidence)


class _Target:
    """One target's tests on the tree in question."""

    def __init__(self, context: GateContext, target: Target) -> None:
        self.context = context
        self.target = target
        self.before = context.bench.baseline(context.base_tree, target)
        self.now = context.bench.run(context.tree, target)
        part = new_tests(context.red, target.name)
        self.new, self.files, self.missing = part.new, part.files, sorted(part.missing)
        self.known = [name for name in self.now.failing if name in self.before.failing]
        self.flaky: list[str] = []
        self.proven: list[str] = []

    def problems(self) -> list[str]:
        if self.now.problem:
            return [self.now.problem]
        failing = [name for name in self.now.failing if name not in self.known]
        self.flaky = self._flaky(failing)
        self.proven = [name for name in self.now.named(TestOutcome.PASSED) if self._is_new(name)]
        return [
            *(
                f"{file}: cannot be collected: {reason.type}: {reason.text}"
                for file, reason in self.now.uncollected.items()
            ),
            *(_told(name, self.now) for name in failing if name not in self.flaky),
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
            f"{module} was missing when the tests were red and still is not one of the tree's own modules"
            for module in self.missing
            if module not in self.now.imported
        ]


def _told(name: str, run: TestRun) -> str:
    case = run.tests[name]
    lines = case.message.splitlines() or [case.reason.text if case.reason else ""]
    if (
        run.weak
    ):  # the whole of what was printed is all there is, and what matters stands at its end
        return f"{name}: {' | '.join(line.strip() for line in lines)[-1200:]}"
    return f"{name}: {' | '.join(line.strip() for line in lines[:4])[:400]}"
