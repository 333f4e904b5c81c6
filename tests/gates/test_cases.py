"""The conformance suite of the gates: one folder in `tests/gates/cases/` each.

A case has the files of its base (on top of those of `_bases/NAME`), the tests that were delivered
(`tests/`), the change (`change/`), and `case.yaml`:

    about: one sentence
    base: python
    target: {test: {command: ...}, checks: [...], ...}   # changes to the base's target
    delivery: {changed: [...]}           # what tests.json says
    gone: [paths]                        # removed by the test stage
    gone_by_change: [paths]              # removed by the developer
    expect:
      red: passed
      green: {verdict: failed, says: [part of a message, ...], detail: [...]}

Gates are run in the order in which they stand; the later ones get what `red` found. Half of the
cases are honest work, which has to pass. A case that is not `fast: true` is run by `--all`.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from pipeline.core.evidence import GateResult, GateVerdict
from pipeline.gates import table
from pipeline.language.flow import GateName
from pipeline.language.schemas import TestDelivery
from pipeline.language.target import Target
from tests.helpers.toolchains import environment_of
from tests.helpers.trees import Trees, trees

FOLDER = Path(__file__).parent / "cases"
BASES = FOLDER / "_bases"
CASES = {path.parent.name: path for path in sorted(FOLDER.glob("*/case.yaml"))}


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one gate is to find; each of `says` is part of its feedback, of `detail` of its line."""

    verdict: str
    says: tuple[str, ...] = ()
    detail: tuple[str, ...] = ()


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a `case.yaml`."""

    about: str
    base: str
    expect: dict[GateName, Expected | str]
    target: dict[str, Any] = {}
    delivery: TestDelivery = TestDelivery()
    gone: tuple[str, ...] = ()
    gone_by_change: tuple[str, ...] = ()
    fast: bool = False


def load(name: str) -> Case:
    return msgspec.convert(yaml.safe_load(CASES[name].read_text()), Case)


def files_below(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def without(files: Mapping[str, str], gone: tuple[str, ...]) -> dict[str, str]:
    return {path: text for path, text in files.items() if path not in gone}


def target_of(case: Case) -> Target:
    stated = yaml.safe_load((BASES / f"{case.base}.yaml").read_text())
    merged = {**stated, **case.target}
    merged["test"] = {**stated["test"], **case.target.get("test", {})}
    return msgspec.convert(merged, Target)


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator["dict[str, Trees]"]:
    """The benches that cases share: one for each base and target."""
    benches: dict[str, Trees] = {}
    with ExitStack() as stack:
        yield Benches(stack, tmp_path_factory, benches)  # type: ignore[misc]


class Benches:
    """Benches by base and target, made when they are needed."""

    def __init__(
        self, stack: ExitStack, factory: pytest.TempPathFactory, made: dict[str, Trees]
    ) -> None:
        self._stack, self._factory, self._made = stack, factory, made

    def of(self, base: str, files: Mapping[str, str], target: Target) -> Trees:
        key = repr((sorted(files.items()), target))
        if key not in self._made:
            env = dict(environment_of(base))
            folder = self._factory.mktemp(base)
            if modules := env.pop("MODULES", ""):
                (folder / "bench").mkdir()
                (folder / "bench" / "node_modules").symlink_to(modules)
            self._made[key] = self._stack.enter_context(trees(folder, files, (target,), **env))
        return self._made[key]


def marked(name: str) -> Any:
    marks = [] if load(name).fast else [pytest.mark.slow]
    return pytest.param(name, id=name, marks=marks)


def test_there_are_as_many_cases_as_promised() -> None:
    honest = [name for name in CASES if is_honest(load(name))]
    assert len(CASES) >= 120
    assert len(honest) * 2 >= len(CASES)
    assert sum(load(name).fast for name in CASES) >= 40


def is_honest(case: Case) -> bool:
    blocking = {GateVerdict.FAILED.words, GateVerdict.COULD_NOT_LOOK.words}
    return not any(
        (one if isinstance(one, str) else one.verdict) in blocking for one in case.expect.values()
    )


@pytest.mark.parametrize("name", [marked(name) for name in CASES])
def test_a_case_is_judged_as_expected(name: str, at_work: Benches) -> None:
    case, folder = load(name), CASES[name].parent
    base = {**files_below(BASES / case.base), **files_below(folder / "base")}
    work = at_work.of(case.base, base, target_of(case))
    delivered = without({**base, **files_below(folder / "tests")}, case.gone)
    changed = without({**delivered, **files_below(folder / "change")}, case.gone_by_change)
    red: GateResult | None = None
    for gate, wanted in case.expect.items():
        expected = Expected(wanted) if isinstance(wanted, str) else wanted
        tree = work.tree(delivered if gate is GateName.RED else changed)
        context = work.context(tree, red, delivery=case.delivery, has_next_round=True)
        found = table.check(gate, context)
        told = "\n".join((found.detail, *found.failures))
        assert found.verdict.words == expected.verdict, f"{gate.value}: {told}"
        for part in expected.says:
            assert part in "\n".join(found.failures), f"{gate.value}: {told}"
        for part in expected.detail:
            assert part in found.detail, f"{gate.value}: {told}"
        red = found if gate is GateName.RED else red
