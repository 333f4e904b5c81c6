"""Gate `red`: every new test fails on the base, for a reason that the change can remove.

A good reason is a failed assertion, or a name of the project's own source that does not exist yet.
A syntax error, a missing fixture, a missing third-party package or a skip is not red.
"""

import re

from pipeline.core.evidence import FailureCause, GateResult, NewTests, RedEvidence
from pipeline.gates.base import GateContext, make_result, run_problem
from pipeline.gates.runners.python import own_names
from pipeline.gates.testrun import FailureReason, TestCase, TestOutcome, TestRun
from pipeline.language import globs
from pipeline.language.flow import GateName
from pipeline.language.target import Target

_GOOD_CAUSES = {FailureCause.ASSERTION, FailureCause.MISSING_NAME, FailureCause.TIMED_OUT}
_DECLARATIONS = (
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "requirements*.txt",
    "requirements/*.txt",
)


def check(context: GateContext) -> GateResult:
    """Run all tests on the tree with the new tests, and compare them with the base's."""
    checks = [_RedCheck(context, target) for target in context.affected()]
    for item in checks:
        item.check()
    evidence = RedEvidence(targets={item.target.name: item.new_tests for item in checks})
    failures = [line for item in checks for line in item.failures]
    unseen = [line for item in checks for line in item.unseen]
    new = evidence.all
    if not new.tests and not new.files and not failures and not unseen:
        failures.append("no new test was found: nothing here fails before the change")
    return make_result(
        context,
        GateName.RED,
        failures=failures,
        unseen=unseen,
        good=_summary(new),
        evidence=evidence,
    )


def _summary(new: NewTests) -> str:
    tests = f"{len(new.tests)} new test(s)" if new.tests else ""
    files = f"{len(new.files)} new file(s) that cannot be imported yet" if new.files else ""
    summary = " and ".join(part for part in (tests, files) if part) + " fail on the base"
    if FailureCause.EXIT_STATUS in new.tests.values():
        return summary + "; only the exit status is known, so the reason is not"
    return summary + ", for good reasons"


class _RedCheck:
    """The new tests of one target, and what is wrong with them."""

    def __init__(self, context: GateContext, target: Target) -> None:
        self.target = target
        self.before = context.bench.baseline(context.base_tree, target)
        self.now = context.bench.run(context.tree, target)
        self.own = own_names(context.store.paths(context.base_tree), target)
        self.declared = _declared(context)
        changed = {change.path for change in context.store.diff(context.base_tree, context.tree)}
        self.changed_tests = {path for path in changed if globs.matches_any(target.tests, path)}
        self.failures: list[str] = []
        self.unseen: list[str] = []
        self._tests: dict[str, FailureCause] = {}
        self._files: dict[str, FailureCause] = {}
        self._missing: set[str] = set()

    @property
    def new_tests(self) -> NewTests:
        return NewTests(tests=self._tests, files=self._files, missing=tuple(sorted(self._missing)))

    def check(self) -> None:
        if self.now.problem is not None:
            self.failures, self.unseen = run_problem(self.now.problem)
        elif self.now.weak:
            self._check_exit_status()
        else:
            self._check_files()
            self._check_tests()
            self.failures += _vanished(self.before, self.now)

    def _check_files(self) -> None:
        for file, reason in self.now.uncollected.items():
            if file not in self.changed_tests:
                self.failures.append(
                    f"{file}: an old test file can no longer be collected: {reason.text}"
                )
            elif self._cause(reason) is not FailureCause.MISSING_NAME:
                self.failures.append(
                    f"{file}: cannot be collected, and not for a name of your own: "
                    f"{_describe(reason)}"
                )
            else:
                self._files[file] = FailureCause.MISSING_NAME

    def _check_tests(self) -> None:
        for name, case in self.now.tests.items():
            if name in self.before.tests:
                self._check_old(name)
            elif case.outcome in {TestOutcome.PASSED, TestOutcome.SKIPPED}:
                self.failures.append(
                    f"{name}: a new test that {case.outcome.value} "
                    "before there is any source for it"
                )
            else:
                self._check_new(name, case)

    def _check_new(self, name: str, case: TestCase) -> None:
        cause = self._tests[name] = self._cause(case.reason)
        if cause not in _GOOD_CAUSES:
            what = case.reason.what if case.reason is not None and case.reason.what else cause.words
            self.failures.append(
                f"{name}: fails for the wrong reason: {what}: {case.message[:200]}"
            )

    def _check_exit_status(self) -> None:
        """Require new test files, and that the command fails only with them."""
        command = self.target.test.command
        if self.before.failing:
            self.failures.append(
                f"{command} fails on the base already; as only its exit status is known, "
                "nothing can be shown"
            )
        elif not self.now.failing:
            self.failures += (
                [f"{command} still passes: nothing here fails before the change"]
                if self.changed_tests
                else []
            )
        elif not self.changed_tests:
            self.failures.append(f"{command} fails, and no test file is new")
        else:
            self._tests = dict.fromkeys(self.now.failing, FailureCause.EXIT_STATUS)

    def _check_old(self, name: str) -> None:
        then, now = self.before.tests[name].outcome, self.now.tests[name].outcome
        if then is TestOutcome.PASSED and now is not TestOutcome.PASSED:
            self.failures.append(
                f"{name}: an old test that passed before is {now.value} now; "
                "old tests stay as they are"
            )

    def _cause(self, reason: FailureReason | None) -> FailureCause:
        """Return why a test failed; for a missing name it depends on whose name it is."""
        if reason is None:
            return FailureCause.UNKNOWN
        if reason.cause is not FailureCause.MISSING_NAME or reason.missing is None:
            return reason.cause
        missing = reason.missing
        top = missing.owner.partition(".")[0]
        if not missing.owner or top in self.own:
            self._missing.update([missing.owner] if missing.owner and missing.is_module else [])
            return FailureCause.MISSING_NAME
        if missing.is_module and top.lower() not in self.declared:
            self._missing.add(missing.owner)
            return FailureCause.MISSING_NAME
        return FailureCause.MISSING_PACKAGE if missing.is_module else reason.raised


def _vanished(before: TestRun, now: TestRun) -> list[str]:
    """Return messages about old tests that are gone, unless their file could not be loaded."""
    gone = [name for name in before.tests if name not in now.tests and not now.is_blocked(name)]
    return [f"{name}: an old test that is no longer there" for name in gone]


def _declared(context: GateContext) -> set[str]:
    """Return all words of the base's dependency files that may name third-party packages."""
    words: set[str] = set()
    for path in context.store.paths(context.base_tree):
        if globs.matches_any(_DECLARATIONS, path):
            text = context.store.read(context.base_tree, path) or b""
            names = re.findall(r"[A-Za-z][A-Za-z0-9_.-]*", text.decode("utf-8", "replace"))
            words.update(name.lower().replace("-", "_") for name in names)
    return words


def _describe(reason: FailureReason) -> str:
    first = reason.text.splitlines()[0][:200] if reason.text else ""
    return f"{reason.what or reason.cause.words}: {first}"
