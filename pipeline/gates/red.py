"""Gate `red`: every new test fails on the base, for a reason that the change can take away.

A good reason is a failed assertion, or a name of the project's own source that is not there yet.
A syntax error, a missing fixture, a missing third-party package or a skip is not red.
"""

import re

import msgspec

from pipeline.core.events import GateResult
from pipeline.gates.base import GateContext, verdict
from pipeline.gates.runners.python import own_names
from pipeline.gates.testrun import Reason, TestOutcome, TestRun
from pipeline.language import globs
from pipeline.language.flow import GateName
from pipeline.language.target import Target

ASSERTION = "assertion"
MISSING_NAME = "missing name"
EXIT_STATUS = "exit status only"
_ASSERTIONS = {"AssertionError", "Failed"}
_DECLARATIONS = (
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "requirements*.txt",
    "requirements/*.txt",
)


class Part(msgspec.Struct):
    """What is new in one target.

    Tests with the kind of their failure, files that wait for a name, missing modules.
    """

    new: dict[str, str] = {}
    files: dict[str, str] = {}
    missing: set[str] = set()


def check(context: GateContext) -> GateResult:
    """Run all tests on the tree with the new tests, and hold them against the base's."""
    problems: list[str] = []
    kinds: dict[str, str] = {}
    files: dict[str, str] = {}
    missing: set[str] = set()
    parts: dict[str, Part] = {}
    for target in context.affected():
        part = parts[target.name] = Part(new={}, files={}, missing=set())
        _Target(context, target).check(problems, part.new, part.files, part.missing)
        kinds |= part.new
        files |= part.files
        missing |= part.missing
    if not kinds and not files and not problems:
        problems.append("no new test was found: nothing here fails before the change")
    count = f"{len(kinds)} new test(s)" if kinds else ""
    whole = f"{len(files)} new file(s) that cannot be imported yet" if files else ""
    weakly = EXIT_STATUS in kinds.values()
    good = " and ".join(part for part in (count, whole) if part) + " fail on the base"
    good += (
        "; only the exit status is known, so the reason is not" if weakly else ", for good reasons"
    )
    evidence: dict[str, object] = {"new": kinds, "files": files, "missing": sorted(missing)}
    evidence["targets"] = msgspec.to_builtins(parts)
    return verdict(context, GateName.RED, problems, good, evidence)


class _Target:
    """The new tests of one target."""

    def __init__(self, context: GateContext, target: Target) -> None:
        self.target = target
        self.before = context.bench.baseline(context.base_tree, target)
        self.now = context.bench.run(context.tree, target)
        self.own = own_names(context.store.paths(context.base_tree), target)
        self.declared = _declared(context)
        changed = {change.path for change in context.store.diff(context.base_tree, context.tree)}
        self.changed_tests = {path for path in changed if globs.matches_any(target.tests, path)}

    def check(
        self, problems: list[str], kinds: dict[str, str], files: dict[str, str], missing: set[str]
    ) -> None:
        if self.now.problem:
            problems.append(self.now.problem)
            return
        if self.now.weak:
            problems += self._check_weak(kinds)
            return
        for file, reason in self.now.uncollected.items():
            if file not in self.changed_tests:
                problems.append(
                    f"{file}: an old test file can no longer be collected: {reason.text}"
                )
            elif self._kind(reason, missing) != MISSING_NAME:
                problems.append(
                    f"{file}: cannot be collected, and not for a name of your own: {_says(reason)}"
                )
            else:
                files[file] = MISSING_NAME
        for name, case in self.now.tests.items():
            if name in self.before.tests:
                self._check_old(name, problems)
            elif case.outcome in {TestOutcome.PASSED, TestOutcome.SKIPPED}:
                problems.append(
                    f"{name}: a new test that {case.outcome.value} before there is any source for it"
                )
            else:
                kind = self._kind(case.reason, missing)
                kinds[name] = kind
                if kind not in {ASSERTION, MISSING_NAME}:
                    problems.append(
                        f"{name}: fails for the wrong reason: {kind}: {case.message[:200]}"
                    )
        problems += _vanished(self.before, self.now)

    def _check_weak(self, kinds: dict[str, str]) -> list[str]:
        """Where only the exit status is known.

        New test files, and a command that fails with them.
        """
        command = self.target.test.command
        if self.before.failing:
            return [
                f"{command} fails on the base already; as only its exit status is known, nothing can be shown"
            ]
        if not self.now.failing:
            return (
                [f"{command} still passes: nothing here fails before the change"]
                if self.changed_tests
                else []
            )
        if not self.changed_tests:
            return [f"{command} fails, and no test file is new"]
        kinds.update(dict.fromkeys(self.now.failing, EXIT_STATUS))
        return []

    def _check_old(self, name: str, problems: list[str]) -> None:
        then, now = self.before.tests[name].outcome, self.now.tests[name].outcome
        if then is TestOutcome.PASSED and now is not TestOutcome.PASSED:
            problems.append(
                f"{name}: an old test that passed before is {now.value} now; old tests stay as they are"
            )

    def _kind(self, reason: Reason | None, missing: set[str]) -> str:
        if reason is None:
            return "unknown"
        if reason.type in _ASSERTIONS:
            return ASSERTION
        if reason.missing is None:
            return reason.type
        owner, name = reason.missing
        top = owner.partition(".")[0]
        if top in self.own or (not owner and name):
            missing.update([owner] if owner and reason.type == "ModuleNotFoundError" else [])
            return MISSING_NAME
        if reason.type == "ModuleNotFoundError" and top.lower() not in self.declared:
            missing.add(owner)
            return MISSING_NAME
        if reason.type == "NameError" and reason.file and top in _module_names(reason.file):
            return f"{reason.type} in the test itself"
        return reason.type


def _vanished(before: TestRun, now: TestRun) -> list[str]:
    """Name old tests that are gone, unless their whole file waits for a name."""
    gone = [name for name in before.tests if name not in now.tests and not now.is_blocked(name)]
    return [f"{name}: an old test that is no longer there" for name in gone]


def _declared(context: GateContext) -> set[str]:
    """Collect the words that name third-party packages in the base's own declarations."""
    words: set[str] = set()
    for path in context.store.paths(context.base_tree):
        if globs.matches_any(_DECLARATIONS, path):
            text = context.store.read(context.base_tree, path) or b""
            found = re.findall(r"[A-Za-z][A-Za-z0-9_.-]*", text.decode("utf-8", "replace"))
            words.update(word.lower().replace("-", "_") for word in found)
    return words


def _module_names(file: str) -> set[str]:
    return {file.removesuffix(".py").replace("/", ".").partition(".")[0]}


def _says(reason: Reason) -> str:
    return f"{reason.type}: {reason.text.splitlines()[0][:200] if reason.text else ''}"


def new_tests(red: GateResult | None, target: str = "") -> Part:
    """Take a red gate's evidence apart: of one target, or of all of them together."""
    found = red.evidence if red is not None else {}
    parts = found.get("targets")
    if target and isinstance(parts, dict):
        found = parts.get(target, {})
    return msgspec.convert(
        {name: found[name] for name in ("new", "files", "missing") if name in found}, type=Part
    )
