"""Gate `green`: the tests pass on this exact tree, the new ones among them, and none was hidden.

Every test function that ran on the base runs, and so does every test that was delivered: skipped,
deselected, expected to fail or gone is not passed. Failures that the base has as well are listed
apart. A test that fails is run again: if it passes then, it is flaky, which is reported, and a new
test that is flaky proves nothing. Last, the person's own command is run, in its own words: what it
says of the base it has to say of this tree.
"""

from collections.abc import Callable

from pipeline.core.evidence import GateResult, GreenEvidence, OwnCommand, RedEvidence
from pipeline.core.excerpt import last_lines, telling_lines
from pipeline.gates.base import GateContext, delivered_tests, make_result, run_problem
from pipeline.gates.delivery import DeliveredNames
from pipeline.gates.functions import function_of, is_function
from pipeline.gates.runners.failed import failing_lines, is_named
from pipeline.gates.testrun import CommandRun, TestCase, TestOutcome, TestRun
from pipeline.language.flow import GateName
from pipeline.language.schemas import TestDelivery
from pipeline.language.target import Target

RERUNS = 2
_FAILURE_MAX_LINES = 30
_RAN = {TestOutcome.PASSED, TestOutcome.FAILED, TestOutcome.ERROR}


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
        set_apart=tuple(name for item in checks for name in item.set_apart),
        commands=tuple(item.command for item in checks),
    )


def _summary(evidence: GreenEvidence) -> str:
    summary = f"{evidence.passed} passed, {len(evidence.new)} of them new"
    summary += f"; {evidence.skipped} skipped" if evidence.skipped else ""
    summary += f"; flaky: {', '.join(evidence.flaky)}" if evidence.flaky else ""
    known, apart = len(evidence.known_failures), len(evidence.set_apart)
    summary += f"; {known} failed on the base already" if known else ""
    summary += f"; {apart} did not run, on the base neither" if apart else ""
    for one in evidence.commands:
        if one.base_code:
            summary += f"; `{one.command}` fails on the base already (exit status {one.base_code})"
        if one.is_flaky:
            summary += f"; `{one.command}` failed first and passed when it was repeated"
    return summary


class _GreenCheck:
    """The tests of one target on the tree, and what is wrong with them."""

    def __init__(self, context: GateContext, target: Target) -> None:
        self.context = context
        self.target = target
        self.before = context.bench.baseline(context.base_tree, target)
        self.now = context.bench.run(context.tree, target)
        self.delivered = delivered_tests(context.red, target.name)
        evidence = context.red.evidence if context.red is not None else None
        delivery = evidence.delivery if isinstance(evidence, RedEvidence) else TestDelivery()
        self.names = DeliveredNames(delivery)
        self.known = [name for name in self.now.failing if name in self.before.failing]
        self.flaky: list[str] = []
        self.proven: list[str] = []
        self.set_apart: list[str] = []
        self.command = OwnCommand(command=target.test.command, code=None)
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
            *(
                _failure(name, self.now, self.context.bench.relative)
                for name in failing
                if name not in self.flaky
            ),
            *(
                f"{name}: a new test that is flaky proves nothing"
                for name in self.flaky
                if self._is_new(name)
            ),
            *self._undelivered(),
            *self._old_that_did_not_run(),
            *self._foreign(),
        ]
        if not self.failures:
            self._run_own_command()

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
        if name in self.delivered.tests:
            return True
        file = self.now.tests[name].file
        return file in self.delivered.files and name not in self.before.tests

    def _undelivered(self) -> list[str]:
        """Return messages about tests that were delivered and did not run to their end here."""
        messages = [
            f"{name}: a new test that {_how(self.now.tests.get(name))}"
            for name in (*self.delivered.tests, *self.delivered.passing)
            if not self._ran_or_may_skip(name)
        ]
        for file in self.delivered.files:
            if file in self.now.uncollected:
                continue
            cases = {name: case for name, case in self.now.tests.items() if case.file == file}
            if not cases:
                messages.append(f"{file}: none of its tests was run")
                continue
            messages += [
                f"{name}: a new test that {_how(case)}"
                for name, case in cases.items()
                if name not in self.before.tests and not self._ran_or_may_skip(name)
            ]
            messages += [
                f"{file}: its test {function} was not run"
                for function in self.delivered.functions.get(file, ())
                if not any(is_function(name, file, function) for name in cases)
                and not self.now.is_blocked(function)
            ]
        return messages

    def _ran_or_may_skip(self, name: str) -> bool:
        case = self.now.tests.get(name)
        if case is not None and case.outcome in _RAN:
            return True
        return self.now.is_blocked(name) or (case is not None and self.names.may_skip(name))

    def _old_that_did_not_run(self) -> list[str]:
        """Return messages about old test functions that ran on the base and did not run here.

        Those of files that nobody changed are looked for again: what a second run of the base does
        not run either has an unstable name, or skips itself at times, and is set apart.
        """
        ran = _functions(self.now)
        missing: dict[str, TestCase] = {}
        for name in self.before.named(TestOutcome.PASSED):
            case = self.before.tests[name]
            function = function_of(name, case.file)
            if (
                function not in ran
                and not self.now.is_blocked(name)
                and not self.names.may_be_gone(name)
            ):
                missing.setdefault(function, case)
        if not missing:
            return []
        bench = self.context.bench
        ran_again = _functions(bench.run(self.context.tree, self.target, rerun=True))
        missing = {name: case for name, case in missing.items() if name not in ran_again}
        on_base = (
            _functions(bench.run(self.context.base_tree, self.target, rerun=True))
            if missing
            else set()
        )
        self.set_apart = [name for name in missing if name not in on_base]
        there = {function_of(name, case.file): case for name, case in self.now.tests.items()}
        return [
            f"{name}: an old test that {_how(there.get(name))}"
            for name in missing
            if name in on_base
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
            for module in self.delivered.missing
            if module not in self.now.imported
        ]

    def _run_own_command(self) -> None:
        """Run the person's own command; it has to end as it does on the base, or with zero."""
        bench, command = self.context.bench, self.target.test.command
        now = bench.own(self.context.tree, self.target)
        self.command = OwnCommand(command=command, code=now.code)
        if now.code == 0 and not now.problem:
            return
        before = bench.own_baseline(self.context.base_tree, self.target)
        if now.problem:
            self.unseen.append(f"{command}: {now.problem}")
        elif before.problem or before.code == 0:
            self._repeat_own_command(now, before)
        else:
            self.command = OwnCommand(command=command, code=now.code, base_code=before.code)
            self._compare_with_base(now, before)

    def _repeat_own_command(self, now: CommandRun, before: CommandRun) -> None:
        again = self.context.bench.own(self.context.tree, self.target, rerun=True)
        is_flaky = again.code == 0 and not again.problem
        code = again.code if is_flaky else now.code
        self.command = OwnCommand(
            command=self.target.test.command, code=code, base_code=before.code, is_flaky=is_flaky
        )
        if not is_flaky:
            self.failures.append(
                f"{self.target.test.command}: exit status {now.code}, and {before.code} on the "
                f"base, although every test passed:\n{last_lines(now.output, _FAILURE_MAX_LINES)}"
            )

    def _compare_with_base(self, now: CommandRun, before: CommandRun) -> None:
        """Hold what the command says against the base, where it does not end with zero either."""
        command = self.target.test.command
        new = [text for key, text in self.now.above.items() if key not in self.before.above]
        new += self._failing_in_plain_command_only(now, before)
        self.failures += [f"{command}: {text}" for text in new]
        if now.code != before.code:
            self.failures.append(
                f"{command}: exit status {now.code}, and {before.code} on the base:\n"
                f"{last_lines(now.output, _FAILURE_MAX_LINES)}"
            )

    def _failing_in_plain_command_only(self, now: CommandRun, before: CommandRun) -> list[str]:
        """Return the lines of tests that fail here and not on the base, each time it is run."""
        known = {*self.before.failing, *self.before.flaky, *self.flaky}
        on_base = failing_lines(before.output)

        def new_in(run: CommandRun) -> dict[str, str]:
            lines = failing_lines(run.output)
            return {
                words: line
                for words, line in lines.items()
                if words not in on_base and not is_named(words, known)
            }

        if not (new := new_in(now)):
            return []
        again = self.context.bench.own(self.context.tree, self.target, rerun=True)
        return [
            f"{line} (fails in this command, and passes with the engine's report alone)"
            for words, line in new.items()
            if again.problem or words in new_in(again)
        ]


def _functions(run: TestRun) -> set[str]:
    """Return the test functions of which a case ran."""
    return {
        function_of(name, case.file) for name, case in run.tests.items() if case.outcome in _RAN
    }


def _how(case: TestCase | None) -> str:
    """Describe how a test came not to run."""
    if case is None:
        return "was not run: it is gone or deselected"
    why = f" ({case.reason.text})" if case.reason is not None and case.reason.text else ""
    return f"was skipped{why}"


def _failure(name: str, run: TestRun, relative: Callable[[str], str]) -> str:
    """Describe a failing test: what it says in one line, then the lines that tell more."""
    case = run.tests[name]
    said = [line.strip() for line in relative(case.message).splitlines() if line.strip()]
    said = said or [case.reason.text.strip() if case.reason is not None else ""]
    # A weak run has one test; its message is the whole output, with the important part at the end.
    first = " | ".join(said)[-300:] if run.weak else said[0][:300]
    more = telling_lines(relative(case.text), _FAILURE_MAX_LINES)
    return f"{name}: {first}" + (f"\n{more}" if more and more != first else "")
