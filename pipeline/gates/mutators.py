"""Mutators that a project has installed itself: Stryker, for JavaScript and TypeScript.

It puts its own faults into the changed lines, runs the project's tests for each, and writes them
down as JSON (github.com/stryker-mutator/mutation-testing-elements, schema 2; Stryker 9).
"""

import shlex
from collections.abc import Iterator, Mapping

import msgspec

from pipeline.core.evidence import Survivor
from pipeline.core.excerpt import excerpt
from pipeline.gates.bench import Bench
from pipeline.gates.faults import changed_lines
from pipeline.language.runners import runner_of
from pipeline.language.target import Runner, Target

ENDINGS = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts")
NOT_INSTALLED = 127
_MARK = "@@report@@"
_RUNNERS = {Runner.VITEST: "vitest", Runner.JEST: "jest"}
_NOTICED = {"Killed", "Timeout", "RuntimeError", "CompileError"}
_MISSED = {"Survived", "NoCoverage"}


class _Start(msgspec.Struct):
    line: int


class _Location(msgspec.Struct):
    start: _Start


class _Mutant(msgspec.Struct):
    status: str
    mutatorName: str  # noqa: N815 - Stryker's name
    location: _Location
    replacement: str = ""


class _File(msgspec.Struct):
    mutants: list[_Mutant]


class _Report(msgspec.Struct):
    files: dict[str, _File]


class Mutated(msgspec.Struct, frozen=True, kw_only=True):
    """What a mutator found.

    How many faults were noticed, the others with their place, or why it was not run.
    """

    noticed: int = 0
    survivors: tuple[Survivor, ...] = ()
    problem: str = ""


def stryker(
    bench: Bench, tree: str, target: Target, files: Mapping[str, tuple[str, str]]
) -> Mutated:
    """Run the project's Stryker on the changed lines of files, each given with its text before and after."""
    runner = runner_of(target.test)
    words = ["stryker", "run", "--reporters", "json", "--logLevel", "error"]
    words += ["--mutate", ",".join(_ranges(target, files))]
    words += ["--testRunner", _RUNNERS[runner]] if runner in _RUNNERS else []
    guard = f"command -v stryker >/dev/null || exit {NOT_INSTALLED}"
    line = f"{guard}; {shlex.join(words)}; echo; echo {_MARK}; cat reports/mutation/mutation.json"
    done = bench.execute(tree, line, target.folder, target.proof.timeout_s)
    if done.code == NOT_INSTALLED:
        return Mutated(problem="no mutator is installed")
    if done.problem:
        return Mutated(problem=f"Stryker: {done.problem}")
    try:
        found = msgspec.json.decode(_report_in(done.output), type=_Report)
    except msgspec.DecodeError:
        return Mutated(problem=f"Stryker left no report: {excerpt(done.output)}")
    return _read(target, found)


def _report_in(output: str) -> str:
    """Take the report out of what was printed; anything on the error stream comes after it."""
    text = output.partition(_MARK)[2].strip()
    return text[: text.rfind("}") + 1]


def _ranges(target: Target, files: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Name the changed lines as Stryker wants them.

    `FILE:FIRST-LAST`, seen from the target's folder.
    """
    for path, (before, after) in files.items():
        local = path.removeprefix(f"{target.folder}/") if target.folder else path
        lines = sorted(changed_lines(before, after))
        starts = [line for line in lines if line - 1 not in lines]
        ends = [line for line in lines if line + 1 not in lines]
        yield from (f"{local}:{start}-{end}" for start, end in zip(starts, ends, strict=True))


def _read(target: Target, report: _Report) -> Mutated:
    noticed, survivors = 0, []
    for name, file in report.files.items():
        path = f"{target.folder}/{name}" if target.folder else name
        for mutant in file.mutants:
            noticed += mutant.status in _NOTICED
            if mutant.status in _MISSED:
                what = f"{mutant.mutatorName}, `{' '.join(mutant.replacement.split())[:60]}`"
                survivors.append(Survivor(file=path, line=mutant.location.start.line, what=what))
    return Mutated(noticed=noticed, survivors=tuple(survivors))
