"""Old tests whose text the test stage changed: which of them tests.json names, and how.

Old tests stay as they are. A `changed` one fails on the base. A `kept` one passes before and after:
if its text is another, a person has to look at it, and where it compared something it still has to.
"""

import re
from collections.abc import Iterable, Mapping

from pipeline.gates.delivery import DeliveredNames, is_named
from pipeline.gates.functions import functions_in, reported_in, rewritten
from pipeline.gates.functions_in_python import asserting_helpers
from pipeline.gates.reading import TestFunction
from pipeline.language.schemas import NamedTest, TestDelivery

_HOOKS = re.compile(
    r"^\s*(?:async )?def (pytest_(?:pyfunc_call|runtest_\w+|collection_modifyitems|itemcollected|"
    r"pycollect_\w+|make_collect_report|report_teststatus|exception_interact|sessionfinish))\b",
    re.MULTILINE,
)
"""What pytest asks which tests there are, and how each of them ended."""


class OldTests:
    """The tests of changed test files as they were and as they are."""

    def __init__(
        self,
        texts: Mapping[str, tuple[str, str]],
        before: Mapping[str, str],
        now: Mapping[str, str],
        delivery: TestDelivery,
    ) -> None:
        """`texts` are both versions of each file, `before` and `now` reported tests with files."""
        self._texts = texts
        self._reported = {**before, **now}
        self._delivery = delivery
        self._names = DeliveredNames(delivery)
        self._was_reported = {path: reported_in(path, _of(before, path)) for path in texts}
        self._old = {path: self._read(path, old) for path, (old, _) in texts.items()}
        self._new = {path: self._read(path, new) for path, (_, new) in texts.items()}

    def _read(self, path: str, text: str) -> list[TestFunction]:
        return functions_in(path, text, self._was_reported[path].__contains__)

    def rewritten(self) -> list[str]:
        """Return messages about old tests that say something else, and that are not named."""
        return [
            f"{file}: the old test {function} was rewritten, or something in its file that it uses;"
            " old tests stay as they are, unless tests.json says why (changed, kept)"
            for file, old in self._old.items()
            for function in (*rewritten(old, self._new[file]), *self._overridden(file))
            if not self._names.may_be_rewritten(file, function, self._reported)
        ]

    def _overridden(self, file: str) -> list[str]:
        """Return tests that were inherited from elsewhere, and that the file makes itself now."""
        if not file.endswith(".py"):
            return []
        had = {one.name for one in self._old[file]}
        names = dict.fromkeys(one.name for one in self._new[file])
        return [one for one in names if one not in had and one in self._was_reported[file]]

    def gone(self) -> list[tuple[str, str]]:
        """Return the file and name of old tests whose text is gone, and that are not named."""
        return [
            (file, one.name)
            for file, old in self._old.items()
            for one in old
            if one.name not in {new.name for new in self._new[file]}
            and not self._names.may_be_rewritten(file, one.name, self._reported)
        ]

    def emptied(self) -> list[str]:
        """Return messages about helpers of old tests that compare nothing any more, not named."""
        left = {one.rpartition(".")[2] for path in self._texts for one in self._helpers(path, 1)}
        return [
            f"{file}::{helper}: compared something for old tests, and does not now; leave it, or "
            "say why in tests.json (changed, removed)"
            for file in self._texts
            for helper in sorted(self._helpers(file, 0))
            if helper.rpartition(".")[2] not in left
            and not self._names.may_be_rewritten(file, helper, self._reported)
        ]

    def hooks(self) -> list[str]:
        """Return messages about new hooks that decide for pytest how tests end, not named."""
        named = {one.key for one in self._delivery.settings}
        return [
            f"{file}: the hook {hook} decides which tests are run or how they end; drop it, or "
            f"say why in tests.json (settings: {file}:{hook})"
            for file, (old, new) in self._texts.items()
            for hook in sorted({*_HOOKS.findall(new)} - {*_HOOKS.findall(old)})
            if f"{file}:{hook}" not in named
        ]

    def helpers(self) -> list[str]:
        """Return the helpers that tests.json can name, besides tests."""
        return [f"{file}::{one}" for file in self._texts for one in self._helpers(file, 0)]

    def _helpers(self, file: str, version: int) -> frozenset[str]:
        if not file.endswith(".py"):
            return frozenset()
        return asserting_helpers(self._texts[file][version])

    def kept_but_rewritten(self) -> tuple[list[str], list[str]]:
        """Return the `kept` tests with another text, and messages about those that lost it."""
        names: list[str] = []
        failures: list[str] = []
        for one in self._delivery.kept:
            old = self._find(self._old, one.was or one.name)
            new = self._find(self._new, one.name)
            if not old or not new or not _is_other(old, new):
                continue
            names.append(one.name)
            if any(test.asserts for test in old) and not any(test.asserts for test in new):
                failures.append(_hollow(one))
        return names, failures

    def said_to_be_skipped(self, passed: Iterable[str]) -> list[str]:
        """Return messages about old tests that passed on the base and are named as skipped."""
        return [
            f"{name}: named as skipped, and it runs and passes on the base; only new tests may be "
            "skipped, an old one is changed or removed in tests.json, or left as it is"
            for name in passed
            if self._names.may_skip(name)
        ]

    def _find(self, texts: Mapping[str, list[TestFunction]], name: str) -> list[TestFunction]:
        return [
            one
            for file, functions in texts.items()
            for one in functions
            if is_named(name, file, one.name, self._reported)
        ]


def _of(reported: Mapping[str, str], path: str) -> Iterable[str]:
    return (name for name, file in reported.items() if file == path)


def _is_other(old: list[TestFunction], new: list[TestFunction]) -> bool:
    """Return whether a test under its new name does not say what it said."""
    bodies = [one.body for one in new]
    defined = frozenset[str]().union(*(one.defines for one in new))
    return any(one.body not in bodies or one.imports & defined for one in old)


def _hollow(test: NamedTest) -> str:
    return (
        f"{test.name}: named as kept, and it asserts nothing any more; keep its assertions, or say "
        "in tests.json that it is removed"
    )
