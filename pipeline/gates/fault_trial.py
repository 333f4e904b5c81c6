"""Trying single faults: one is put into a tree at a time, and the tests are run with it.

A `Trial` says which change the faults are put into, and which tests count when they fail.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from pipeline.core.evidence import UntriedFile
from pipeline.files.clocks import Deadline
from pipeline.gates import mutators
from pipeline.gates.base import GateContext
from pipeline.gates.fault_tally import FaultTally
from pipeline.gates.faults import Fault, FaultKind, faults
from pipeline.gates.testrun import ProblemKind, TestRun
from pipeline.language import globs
from pipeline.language.target import Proof, Target

_WHOLE_SUITE_S = 3.0
"""A faster suite runs as a whole for every fault; of a slower one only the new tests' files."""

_LOOPS_AFTER_S, _TIMES_AS_LONG = 5.0, 4.0
"""A fault is stopped, and counts as noticed, when the tests take so much longer than on the base:
it loops."""

_CODE = (
    ".py", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".go", ".rs", ".java", ".kt", ".rb", ".c",
    ".cc", ".cpp", ".cs",
)  # fmt: skip


class CountedTests(Protocol):
    """The tests that count as noticing a fault."""

    def has(self, name: str, file: str) -> bool:
        """Return whether a reported test counts."""
        ...

    def has_title(self, title: str, file: str) -> bool:
        """Return whether a test counts that a mutation testing tool calls by its title alone."""
        ...


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """Faults in the lines of one target by which `tree` differs from `before`.

    `files` are the test files that matter most; of a slow suite those alone are run, if there are
    any. Without `hunks` no hunk is undone: that is a fault only where the change does something.
    """

    context: GateContext
    target: Target
    before: str
    tree: str
    counted: CountedTests
    files: Sequence[str] = ()
    hunks: bool = True


def try_faults(trial: Trial, tally: FaultTally) -> None:
    """Try the faults of one target within its limits, and count them."""
    bench, target, rules = trial.context.bench, trial.target, trial.target.proof
    tally.switched_off = tally.switched_off and not rules.faults
    deadline = Deadline(rules.timeout_s, trial.context.awake)
    _mutate(trial, tally)
    baseline = bench.run(trial.tree, target)
    usual_s = max(_LOOPS_AFTER_S, _TIMES_AS_LONG * baseline.duration_s)
    planned = list(_planned(trial))
    for number, (path, fault) in enumerate(planned):
        if not deadline.left_s or (
            number >= rules.faults and not _is_last_question(tally, fault, rules)
        ):
            tally.not_tried += 1
            continue
        tree = trial.context.store.with_file(trial.tree, path, fault.text.encode())
        only = [] if baseline.duration_s < _WHOLE_SUITE_S else trial.files
        bench.doing.detail(f"fault {number + 1} of {min(len(planned), rules.faults)}")
        is_cut_off = deadline.left_s < usual_s
        run = bench.run(tree, target, only, timeout_s=min(usual_s, deadline.left_s))
        if trial.files and not only and _is_endless(run) and deadline.left_s >= usual_s:
            # Nobody knows whose tests loop. The files that matter most tell it alone.
            run = bench.run(tree, target, trial.files, timeout_s=usual_s)
            if not _is_endless(run) and not run.problem and not _noticed(run, baseline, trial):
                tally.add(path, fault, is_noticed=False, by_old=True)
                continue
        _count(tally, path, fault, run, baseline, trial, is_cut_off=is_cut_off)


def _is_endless(run: TestRun) -> bool:
    return run.problem is not None and run.problem.kind is ProblemKind.DID_NOT_END


def _noticed(run: TestRun, baseline: TestRun, trial: Trial) -> bool:
    """Return whether a test that counts fails, and passes without the fault."""
    failing = set(run.failing) - set(baseline.failing)
    return any(trial.counted.has(name, run.tests[name].file) for name in failing)


def _is_last_question(tally: FaultTally, fault: Fault, rules: Proof) -> bool:
    """Return whether to try a fault beyond the limit of number.

    Small faults can go unnoticed by honest tests, and old functions that were touched are noticed
    by old tests alone. Before a change counts as one that no new test looks at, bodies are taken
    away, until one is noticed.
    """
    is_unseen = not tally.noticed and not tally.bodies_noticed
    return bool(rules.faults) and is_unseen and fault.kind.is_body


def _count(
    tally: FaultTally,
    path: str,
    fault: Fault,
    run: TestRun,
    baseline: TestRun,
    trial: Trial,
    *,
    is_cut_off: bool,
) -> None:
    """Count one fault by the run of the tests with it.

    One that cannot be built or loaded proves nothing, and so does a run that the gate's own time
    limit cut off; tests that loop have noticed it.
    """
    failing = set(run.failing) - set(baseline.failing)
    if _is_endless(run):
        if is_cut_off:
            tally.not_tried += 1
        else:
            tally.add(path, fault, is_noticed=True)
    elif failing:
        is_noticed = _noticed(run, baseline, trial)
        tally.add(path, fault, is_noticed=is_noticed, by_old=not is_noticed)
    elif run.problem is not None and run.problem.kind is ProblemKind.TOO_MUCH_MEMORY:
        tally.not_tried += 1
    elif run.problem is not None or run.uncollected:
        tally.broken += 1
    else:
        tally.add(path, fault, is_noticed=False)


def _mutate(trial: Trial, tally: FaultTally) -> None:
    """Run the project's own mutation testing tool, if any, for languages other than Python."""
    if not trial.target.proof.faults:
        return
    texts = {path: both for path, both in _texts(trial) if not path.endswith(".py")}
    known = {path: both for path, both in texts.items() if path.endswith(mutators.ENDINGS)}
    mutated = mutators.MutationResult()
    if known:
        mutated = mutators.stryker(
            trial.context.bench, trial.tree, trial.target, known, trial.counted.has_title
        )
    tally.untried += [
        UntriedFile(file=path, why="no mutation testing tool is known for this language")
        for path in texts
        if path not in known
    ]
    tally.untried += [
        UntriedFile(file=path, why=mutated.problem) for path in known if mutated.problem
    ]
    tally.noticed += mutated.noticed
    tally.noticed_by_old += mutated.noticed_by_old
    tally.survivors += mutated.survivors
    tally.is_told = tally.is_told or bool(
        mutated.survivors or mutated.noticed or mutated.noticed_by_old
    )


def _texts(trial: Trial) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the target's changed source files of code: path, text before and after."""
    store = trial.context.store
    for change in store.diff(trial.before, trial.tree):
        path = change.path
        if change.status == "D" or not path.endswith(_CODE):
            continue
        if globs.matches_any(trial.target.source, path):
            before = store.read(trial.before, path) or b""
            after = store.read(trial.tree, path) or b""
            yield path, (before.decode(errors="replace"), after.decode(errors="replace"))


def _planned(trial: Trial) -> Iterator[tuple[str, Fault]]:
    """Yield the faults for a target's changed source files, files in turn."""
    queues = [
        (path, _faults(trial, before, after, is_python=path.endswith(".py")))
        for path, (before, after) in _texts(trial)
    ]
    for number in range(max((len(one) for _, one in queues), default=0)):
        yield from ((path, one[number]) for path, one in queues if number < len(one))


def _faults(trial: Trial, before: str, after: str, *, is_python: bool) -> list[Fault]:
    found = faults(before, after, is_python=is_python)
    return found if trial.hunks else [one for one in found if one.kind is not FaultKind.HUNK]
