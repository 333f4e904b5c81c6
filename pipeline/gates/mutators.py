"""Mutation testing tools that a project has installed: Stryker, for JavaScript and TypeScript.

Stryker puts faults of its own into the changed lines, runs the project's tests for each, and writes
a report as JSON (github.com/stryker-mutator/mutation-testing-elements, schema 2; Stryker 9).
"""

import shlex
from collections.abc import Callable, Iterator, Mapping

import msgspec

from pipeline.core.evidence import Survivor
from pipeline.core.excerpt import excerpt
from pipeline.gates.bench import Bench
from pipeline.gates.faults import changed_lines
from pipeline.language.runners import runner_of
from pipeline.language.target import Runner, Target

ENDINGS = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts")
NOT_INSTALLED = 127
_REPORT_MARK = "@@report@@"
_RUNNERS = {Runner.VITEST: "vitest", Runner.JEST: "jest"}
_NOTICED = {"Killed", "Timeout", "RuntimeError", "CompileError"}
_MISSED = {"Survived", "NoCoverage"}


class _StrykerPosition(msgspec.Struct):
    line: int


class _StrykerLocation(msgspec.Struct):
    start: _StrykerPosition


class _StrykerMutant(msgspec.Struct):
    status: str
    mutatorName: str  # noqa: N815 - Stryker's name
    location: _StrykerLocation
    replacement: str = ""
    killedBy: list[str] | None = None  # noqa: N815 - Stryker's name


class _StrykerFile(msgspec.Struct):
    mutants: list[_StrykerMutant]


class _StrykerTest(msgspec.Struct):
    id: str
    name: str


class _StrykerTestFile(msgspec.Struct):
    tests: list[_StrykerTest] = []


class _StrykerReport(msgspec.Struct):
    files: dict[str, _StrykerFile]
    testFiles: dict[str, _StrykerTestFile] = {}  # noqa: N815 - Stryker's name


class MutationResult(msgspec.Struct, frozen=True, kw_only=True):
    """How many faults the tests noticed, the others with their location, or why there is none.

    `noticed_by_old` are those that, as Stryker knows, no new test noticed.
    """

    noticed: int = 0
    noticed_by_old: int = 0
    survivors: tuple[Survivor, ...] = ()
    problem: str = ""


def stryker(
    bench: Bench,
    tree: str,
    target: Target,
    files: Mapping[str, tuple[str, str]],
    is_new: Callable[[str, str], bool],
) -> MutationResult:
    """Run the project's Stryker on the changed lines of files: path -> text before and after.

    `is_new` tells whether a test is one of the new ones, by its title and its file.
    """
    runner = runner_of(target.test)
    words = ["stryker", "run", "--reporters", "json", "--logLevel", "error"]
    words += ["--disableBail"]  # or only the first test that notices a fault would be named
    words += ["--mutate", ",".join(_ranges(target, files))]
    words += ["--testRunner", _RUNNERS[runner]] if runner in _RUNNERS else []
    guard = f"command -v stryker >/dev/null || exit {NOT_INSTALLED}"
    # Where Stryker's JSON reporter writes, unless the project has configured another file.
    show_report = f"echo; echo {_REPORT_MARK}; cat reports/mutation/mutation.json"
    line = f"{guard}; {shlex.join(words)} || true; {show_report}"
    done = bench.execute(tree, line, target, target.proof.timeout_s)
    if done.code == NOT_INSTALLED:
        return MutationResult(problem="no mutation testing tool is installed")
    if done.problem:
        return MutationResult(problem=f"Stryker: {done.problem}")
    try:
        report = msgspec.json.decode(_report_in(done.output), type=_StrykerReport)
    except msgspec.DecodeError:
        return MutationResult(problem=f"Stryker left no report: {excerpt(done.output)}")
    return _read(target, report, is_new)


def _report_in(output: str) -> str:
    """Return the report in what was printed; stderr comes after it."""
    text = output.partition(_REPORT_MARK)[2].strip()
    return text[: text.rfind("}") + 1]


def _ranges(target: Target, files: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Yield the changed lines as Stryker takes them: `FILE:FIRST-LAST` from the target's folder."""
    for path, (before, after) in files.items():
        local = path.removeprefix(f"{target.folder}/") if target.folder else path
        lines = sorted(changed_lines(before, after))
        starts = [line for line in lines if line - 1 not in lines]
        ends = [line for line in lines if line + 1 not in lines]
        yield from (f"{local}:{start}-{end}" for start, end in zip(starts, ends, strict=True))


def _read(
    target: Target, report: _StrykerReport, is_new: Callable[[str, str], bool]
) -> MutationResult:
    inside = f"{target.folder}/" if target.folder else ""
    tests = {
        test.id: is_new(test.name, inside + path)
        for path, file in report.testFiles.items()
        for test in file.tests
    }
    noticed, by_old, survivors = 0, 0, []
    for name, file in report.files.items():
        for mutant in file.mutants:
            if mutant.status in _NOTICED:
                # The command runner names no tests: then any may have noticed it.
                killers = [tests[one] for one in mutant.killedBy or () if one in tests]
                is_old = bool(killers) and not any(killers)
                by_old += is_old
                noticed += not is_old
            if mutant.status in _MISSED:
                what = f"{mutant.mutatorName}, `{' '.join(mutant.replacement.split())[:60]}`"
                line = mutant.location.start.line
                survivors.append(Survivor(file=inside + name, line=line, what=what))
    return MutationResult(noticed=noticed, noticed_by_old=by_old, survivors=tuple(survivors))
