"""Gate `red`: every new or changed test fails on the base.

Red, then green with the same bytes, then red again without the source: that proves the cause. So
this gate refuses only what can prove nothing: a file that cannot be parsed, an unknown fixture, a
name that the test itself forgot, a missing third-party package, a set-up that fails on its own,
an error that old tests show on the base at the same place, a test that passes or was skipped. Every
other failure is red, and what was raised is recorded.

Old tests stay as they are, unless `tests.json` names them (`TestDelivery`).
"""

import re

from pipeline.core.evidence import FailureCause, GateResult, NewTests, RedEvidence
from pipeline.gates.base import GateContext, make_result, run_problem
from pipeline.gates.delivery import DeliveredNames
from pipeline.gates.functions import function_of, functions_in
from pipeline.gates.reasons import describe, is_undefined, kind, same, why_never_loaded
from pipeline.gates.revisions import revisions
from pipeline.gates.rewritten import OldTests
from pipeline.gates.runners.python import own_names
from pipeline.gates.testrun import FailureReason, TestCase, TestOutcome
from pipeline.language import globs
from pipeline.language.flow import GateName
from pipeline.language.runners import runner_of
from pipeline.language.target import Runner, Target

_UNKNOWN_FIXTURES = {"FixtureLookupError", "FixtureLookupErrorRepr"}
# What errors say when a database, a server or the network is not there.
_SERVICE = re.compile(r"[Cc]onnect|[Rr]efused|[Uu]n(?:reach|avail)able|OperationalError|gaierror")
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
    failures = [line for item in checks for line in item.failures]
    unseen = [line for item in checks for line in item.unseen]
    evidence = RedEvidence(
        targets={item.target.name: item.new_tests for item in checks},
        delivery=context.delivery,
        rewritten=tuple(dict.fromkeys(name for item in checks for name in item.rewritten)),
    )
    new = evidence.all
    failures += list(revisions(context))
    if not unseen:
        names = {name for item in checks for name in item.known_names()}
        failures += DeliveredNames(context.delivery).unknown(names)
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
    return summary + (f"; {len(new.passing)} pass already, as said" if new.passing else "")


class _RedCheck:
    """The new tests of one target, and what is wrong with them."""

    def __init__(self, context: GateContext, target: Target) -> None:
        self.context = context
        self.target = target
        self.before = context.bench.baseline(context.base_tree, target)
        self.now = context.bench.run(context.tree, target)
        self.own = own_names(context.store.paths(context.base_tree), target)
        self.declared = _declared(context)
        self.names = DeliveredNames(context.delivery)
        changed = {change.path for change in context.store.diff(context.base_tree, context.tree)}
        self.changed_tests = {path for path in changed if globs.matches_any(target.tests, path)}
        self.failures: list[str] = []
        self.unseen: list[str] = []
        self._tests: dict[str, FailureCause] = {}
        self._kinds: dict[str, str] = {}
        self._files: dict[str, FailureCause] = {}
        self._functions: dict[str, tuple[str, ...]] = {}
        self._read: list[str] = []
        self.rewritten: list[str] = []
        self._passing: list[str] = []
        self._missing: set[str] = set()
        self._worse: dict[str, TestCase] = {}

    @property
    def new_tests(self) -> NewTests:
        return NewTests(
            tests=self._tests,
            kinds=self._kinds,
            files=self._files,
            functions=self._functions,
            passing=tuple(self._passing),
            missing=tuple(sorted(self._missing)),
        )

    def known_names(self) -> list[str]:
        """List the tests that there are or were, and those of files that cannot be loaded yet."""
        return [*self.before.tests, *self.now.tests, *self._read]

    def check(self) -> None:
        if self.now.problem is not None:
            self.failures, self.unseen = run_problem(self.now.problem)
        elif self.now.weak:
            self._check_exit_status()
        else:
            self._check_files()
            for name, case in self.now.tests.items():
                self._check_test(name, case)
            self._check_old()
            self._check_rewritten()
            self._check_gone()

    def _check_files(self) -> None:
        for file, reason in self.now.uncollected.items():
            if file not in self.changed_tests:
                self.failures.append(
                    f"{file}: an old test file can no longer be collected: {reason.text}"
                )
                continue
            cause = self._cause(reason)
            if (why := why_never_loaded(reason, cause)) is not None:
                self.failures.append(f"{file}: cannot be collected: {why}: {describe(reason)}")
                continue
            self._files[file] = cause
            functions = functions_in(file, self._text(file))
            self._read += [f"{file}::{one.name}" for one in functions]
            self._functions[file] = tuple(
                one.name for one in functions if one.is_run and self._is_collected(one.name)
            )

    def _is_collected(self, function: str) -> bool:
        """Return whether the runner collects a function: unittest takes only methods of classes."""
        return runner_of(self.target.test) is not Runner.UNITTEST or function.count(".") == 1

    def _check_test(self, name: str, case: TestCase) -> None:
        is_old = name in self.before.tests
        fails = case.outcome not in {TestOutcome.PASSED, TestOutcome.SKIPPED}
        if self.names.is_changed(name):
            self._check_changed(name, case)
        elif is_old:
            self._check_unchanged(name, case)
        elif case.file and case.file not in self.changed_tests:
            return  # an unstable name, or a file that could not be loaded before: nobody changed it
        elif self.names.may_pass(name):
            self._passing.append(name)
            if fails:
                self.failures.append(
                    f"{name}: said to pass already, and it fails: {case.message[:200]}"
                )
        elif case.outcome is TestOutcome.SKIPPED and self.names.may_skip(name):
            return
        elif not fails:
            self.failures.append(
                f"{name}: a new test that {case.outcome.value} before there is any source for it; "
                f"if it is meant to, say so in tests.json (guards)"
                if case.outcome is TestOutcome.PASSED
                else f"{name}: a new test that is skipped before there is any source for it; "
                "name it in tests.json with the reason (skipped), or let it run"
            )
        else:
            self._check_new(name, case)

    def _check_changed(self, name: str, case: TestCase) -> None:
        """Require that a changed test fails on the base: else it holds nothing new."""
        if case.outcome in {TestOutcome.PASSED, TestOutcome.SKIPPED}:
            self.failures.append(
                f"{name}: named as changed, and it {case.outcome.value} on the base; "
                "a changed test fails first, a renamed or moved one is `kept`"
            )
        else:
            self._check_new(name, case)

    def _check_new(self, name: str, case: TestCase) -> None:
        reason = case.reason
        self._tests[name] = cause = self._cause(reason)
        if reason is not None:
            self._kinds[name] = kind(reason, cause)
        if (why := self._why_nothing(case, cause)) is not None:
            what = reason.what if reason is not None and reason.what else cause.words
            self.failures.append(
                f"{name}: fails for the wrong reason: {why}: {what}: {case.message[:200]}"
            )

    def _why_nothing(self, case: TestCase, cause: FailureCause) -> str | None:
        """Return why a failure cannot turn into a pass by the source alone; None if it can."""
        what = case.reason.what if case.reason is not None else ""
        if what in _UNKNOWN_FIXTURES:
            return "an unknown fixture"
        if cause is FailureCause.MISSING_PACKAGE:
            return "a package that is not installed"
        if cause is FailureCause.NOT_COLLECTED:
            return "it cannot be loaded"
        if case.reason is not None and is_undefined(case.reason):
            return "a name that the test does not define"
        if case.outcome is TestOutcome.ERROR and cause is FailureCause.RAISED_IN_TEST:
            return "its set-up fails before it reaches the source"
        if self._fails_without_it(case.reason):
            return "old tests fail like that on the base"
        return None

    def _fails_without_it(self, reason: FailureReason | None) -> bool:
        """Return whether old tests end with the same error: a service that is down, for example.

        An error that the source raised is one that it can mend, unless it is about a service.
        """
        if reason is None or reason.cause in {FailureCause.ASSERTION, FailureCause.MISSING_NAME}:
            return False
        is_source = reason.raised is FailureCause.RAISED_IN_SOURCE
        if is_source and not _SERVICE.search(f"{reason.what} {reason.text}"):
            return False
        old = (self.before.tests[name].reason for name in self.before.failing)
        return any(one is not None and same(one, reason) for one in old)

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

    def _check_unchanged(self, name: str, case: TestCase) -> None:
        then = self.before.tests[name].outcome
        if then is TestOutcome.PASSED and case.outcome is not TestOutcome.PASSED:
            self._worse[name] = case

    def _check_old(self) -> None:
        """Find old tests that passed on the base and do not now, though nobody said why.

        Of a file that nobody changed they are run again, and on the base too: what does not pass
        every time is flaky.
        """
        is_untouched = any(case.file not in self.changed_tests for case in self._worse.values())
        unsure: set[str] = set()
        if is_untouched and len(self._worse) < len(self.now.tests):
            bench = self.context.bench
            again = bench.run(self.context.tree, self.target, rerun=True)
            on_base = bench.run(self.context.base_tree, self.target, rerun=True)
            passed = set(on_base.named(TestOutcome.PASSED))
            unsure = {
                name
                for name, case in self._worse.items()
                if case.file not in self.changed_tests
                and (name in again.named(TestOutcome.PASSED) or name not in passed)
            }
        self.failures += [
            f"{name}: an old test that passed before is {case.outcome.value} now; "
            "old tests stay as they are, unless tests.json says why (changed)"
            for name, case in self._worse.items()
            if name not in unsure
        ]

    def _check_rewritten(self) -> None:
        """Find old tests whose text is another now, and that are not named."""
        base = self.context.base_tree
        texts = {
            file: (self._text(file, base), self._text(file)) for file in sorted(self.changed_tests)
        }
        old = OldTests(texts, self.before.files(), self.now.files(), self.context.delivery)
        self.rewritten, hollow = old.kept_but_rewritten()
        passed = self.before.named(TestOutcome.PASSED)
        self._read += old.helpers()
        self.failures += [*old.rewritten(), *old.emptied(), *hollow]
        self.failures += [*old.said_to_be_skipped(passed), *old.hooks()]
        # Elsewhere the names in the reports tell it, and are what a person knows.
        if self.now.blocked:
            self.failures += [_gone(f"{file}::{name}") for file, name in old.gone()]

    def _check_gone(self) -> None:
        """Find old test functions that are no longer there, unless their file cannot be loaded."""
        there = {function_of(name, case.file) for name, case in self.now.tests.items()}
        gone: dict[str, str] = {}
        for name, case in self.before.tests.items():
            function = function_of(name, case.file)
            if (
                function not in there
                and not self.now.is_blocked(name)
                and not self.names.may_be_gone(name)
            ):
                gone.setdefault(function, case.file)
        untouched = [one for one, file in gone.items() if file and file not in self.changed_tests]
        again = self._functions_of_base() if untouched else set()
        self.failures += [
            _gone(function)
            for function, file in gone.items()
            if function not in untouched or function in again
        ]

    def _functions_of_base(self) -> set[str]:
        """Return the test functions that a second run of the base has: other names are unstable."""
        again = self.context.bench.run(self.context.base_tree, self.target, rerun=True)
        return {function_of(name, case.file) for name, case in again.tests.items()}

    def _text(self, path: str, tree: str = "") -> str:
        data = self.context.store.read(tree or self.context.tree, path) or b""
        return data.decode(errors="replace")

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


def _gone(name: str) -> str:
    return (
        f"{name}: an old test that is no longer there; "
        "say why in tests.json (removed, or kept with `was`)"
    )


def _declared(context: GateContext) -> set[str]:
    """Return all words of the base's dependency files that may name third-party packages."""
    words: set[str] = set()
    for path in context.store.paths(context.base_tree):
        if globs.matches_any(_DECLARATIONS, path):
            text = context.store.read(context.base_tree, path) or b""
            names = re.findall(r"[A-Za-z][A-Za-z0-9_.-]*", text.decode("utf-8", "replace"))
            words.update(name.lower().replace("-", "_") for name in names)
    return words
