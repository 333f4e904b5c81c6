"""Gate `proof`.

The new tests notice when the change is not there, and when something small in it is wrong.

First the source change is taken out as a whole: the new tests must fail again. Then single faults
are put into the functions that were changed, one at a time (`gates/faults`); how many the tests
notice is reported, with the survivors.
"""

from collections.abc import Iterator

import msgspec

from pipeline.core.events import GateResult
from pipeline.files.awake import Deadline
from pipeline.gates import mutators
from pipeline.gates.base import GateContext, verdict
from pipeline.gates.faults import Fault, faults
from pipeline.gates.red import new_tests
from pipeline.gates.testrun import TestOutcome
from pipeline.language import globs
from pipeline.language.flow import GateName
from pipeline.language.target import Target

_WHOLE_SUITE_S = 3.0
"""A suite that is quicker than this is run as a whole for every fault.

Of a slower one the files of the new tests.
"""

_CODE = (
    ".ts",
    ".tsx",
    ".js",
    ".jsx",
    ".mjs",
    ".cjs",
    ".go",
    ".rs",
    ".java",
    ".kt",
    ".rb",
    ".c",
    ".cc",
    ".cpp",
    ".cs",
)


class _Tried(msgspec.Struct):
    noticed: int = 0
    survivors: list[str] = []
    skipped: list[str] = []
    left_out: int = 0

    @property
    def count(self) -> int:
        return self.noticed + len(self.survivors)


def check(context: GateContext) -> GateResult:
    """Run the new tests on the tree with the source as it was on the base, then on trees with one fault each."""
    part = new_tests(context.red)
    of = len(part.new) + len(part.files)
    if not of:
        return verdict(
            context, GateName.PROOF, ["no red gate came before, so nothing is known to be new"], ""
        )
    without = context.store.graft(context.tree, context.base_tree, context.sources())
    if without == context.tree:
        return verdict(context, GateName.PROOF, ["the source is unchanged"], "")
    still, failed = _without(context, without)
    good = f"without the source change, {failed} of {of} new test(s) or file(s) fail again"
    evidence: dict[str, object] = {"failed_again": failed, "of": of}
    if still:
        return verdict(context, GateName.PROOF, still, good, evidence)
    problems: list[str] = []
    tried = _Tried(survivors=[], skipped=[])
    for target in context.affected():
        problems += _try_faults(context, target, tried)
    evidence |= {"faults": tried.count, "noticed": tried.noticed, "survivors": tried.survivors}
    evidence |= {"skipped": tried.skipped, "not_tried": tried.left_out}
    return verdict(context, GateName.PROOF, problems, good + _told(tried), evidence)


def _without(context: GateContext, without: str) -> tuple[list[str], int]:
    """Run the tests without the change.

    Return the new ones that pass still, and how many fail again.
    """
    still: list[str] = []
    failed = 0
    for target in context.affected():
        run = context.bench.run(without, target)
        if run.problem:
            still.append(run.problem)
        before = context.bench.baseline(context.base_tree, target)
        part = new_tests(context.red, target.name)
        still += [
            f"{name}: passes without the source change"
            for name in run.named(TestOutcome.PASSED)
            if name in part.new or (run.tests[name].file in part.files and name not in before.tests)
        ]
        failed += len(part.new.keys() & set(run.failing)) + len(
            part.files.keys() & run.uncollected.keys()
        )
    return still, failed


def _told(tried: _Tried) -> str:
    words = f"; {tried.noticed} of {tried.count} single faults noticed" if tried.count else ""
    words += f"; {tried.left_out} not tried (limit of number or time)" if tried.left_out else ""
    return words + (f"; no faults tried in {', '.join(tried.skipped[:3])}" if tried.skipped else "")


def _try_faults(context: GateContext, target: Target, tried: _Tried) -> list[str]:
    """Try one target's faults within its limits; return what makes the gate fail."""
    wanted = list(_planned(context, target))
    rules = target.proof
    deadline = Deadline(rules.timeout_s, context.awake)
    baseline = context.bench.baseline(context.base_tree, target)
    only = [] if baseline.duration_s < _WHOLE_SUITE_S else _new_test_files(context, target)
    noticed, missed = _mutated(context, target, tried)
    for number, (path, fault) in enumerate(wanted):
        if number >= rules.faults or not deadline.left_s:
            tried.left_out += len(wanted) - number
            break
        tree = context.store.with_file(context.tree, path, fault.text.encode())
        run = context.bench.run(tree, target, only)
        if run.failing or run.uncollected or run.problem:
            noticed += 1
        else:
            missed.append(f"{path}:{fault.line}: {fault.what}")
    tried.noticed += noticed
    tried.survivors += missed
    if noticed < rules.min * (noticed + len(missed)):
        asked = f"{noticed} of {noticed + len(missed)} faults were noticed, `proof.min` asks for {rules.min:g} of them"
        return [asked, *(f"not noticed: {line}" for line in missed)]
    return []


def _mutated(context: GateContext, target: Target, tried: _Tried) -> tuple[int, list[str]]:
    """Have the faults of other languages than Python made by a mutator that the project has, if there is one."""
    if not target.proof.faults:
        return 0, []
    texts = dict(_texts(context, target, _CODE))
    known = {path: both for path, both in texts.items() if path.endswith(mutators.ENDINGS)}
    found = (
        mutators.stryker(context.bench, context.tree, target, known)
        if known
        else mutators.Mutated()
    )
    tried.skipped += [f"{path} (only Python is known)" for path in texts if path not in known]
    tried.skipped += [f"{path} ({found.problem})" for path in known if found.problem]
    return found.noticed, list(found.survivors)


def _texts(
    context: GateContext, target: Target, endings: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Go through the target's changed source files of some languages.

    Path, text before, text after.
    """
    for change in context.store.diff(context.base_tree, context.tree):
        path = change.path
        if (
            change.status != "D"
            and path.endswith(endings)
            and globs.matches_any(target.source, path)
        ):
            before = (context.store.read(context.base_tree, path) or b"").decode(errors="replace")
            yield (
                path,
                (before, (context.store.read(context.tree, path) or b"").decode(errors="replace")),
            )


def _planned(context: GateContext, target: Target) -> Iterator[tuple[str, Fault]]:
    """Go through the faults of a target's changed source files, the files taking turns."""
    queues = [
        (path, faults(before, after)) for path, (before, after) in _texts(context, target, (".py",))
    ]
    for number in range(max((len(one) for _, one in queues), default=0)):
        yield from ((path, one[number]) for path, one in queues if number < len(one))


def _new_test_files(context: GateContext, target: Target) -> list[str]:
    changes = context.store.diff(context.base_tree, context.tree)
    return [
        one.path
        for one in changes
        if one.status != "D" and globs.matches_any(target.tests, one.path)
    ]
