"""What a gate gets and returns: a function from `GateContext` to `GateResult`, in its own file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pipeline.core.evidence import Evidence, GateResult, GateVerdict, NewTests, RedEvidence
from pipeline.files.clocks import Clock, awake_s
from pipeline.gates.bench import Bench
from pipeline.gates.testrun import RunProblem
from pipeline.language import globs
from pipeline.language.flow import GateName
from pipeline.language.schemas import TestDelivery
from pipeline.language.target import Target
from pipeline.repo.store import Store

FEEDBACK_MAX_LINES = 20
_DOCUMENTS = ("docs/**", "*.md", "**/*.md", "**/*.rst", "LICENSE*")


class GateContext(msgspec.Struct, frozen=True, kw_only=True):
    """The exact tree to verify, what it is compared with, and the tools for that.

    `red` is the run's last passed red gate, `delivery` what the stage itself says of its tests,
    `earlier` the delivery that a later one revises (None for a first one),
    `findings` are the reviewers' files, and `awake` is the clock of deadlines. `is_last_round` is
    true if the loop will not have another round, `has_next_round` if it can have one; outside a
    loop both are false. `refused` has the newest failure of each gate of this stage, in all rounds.
    """

    store: Store
    bench: Bench
    targets: tuple[Target, ...]
    base_tree: str
    tree: str
    red: GateResult | None
    delivery: TestDelivery = TestDelivery()
    earlier: GateResult | None = None
    findings: tuple[Path, ...] = ()
    is_last_round: bool = False
    has_next_round: bool = False
    refused: Mapping[GateName, GateResult] = {}
    awake: Clock = awake_s

    def sources(self) -> tuple[str, ...]:
        """Return the source globs of all targets."""
        return tuple(glob for target in self.targets for glob in target.source)

    def tests(self) -> tuple[str, ...]:
        """Return the test globs of all targets."""
        return tuple(glob for target in self.targets for glob in target.tests)

    def affected(self) -> tuple[Target, ...]:
        """Return the targets that the change can affect.

        A change to a target's files affects it and all targets that depend on it. A file that
        belongs to no target, and is no document, affects all of them.
        """
        changed = [change.path for change in self.store.diff(self.base_tree, self.tree)]
        docs = [glob for target in self.targets for glob in target.docs]
        touched: set[str] = set()
        for path in changed:
            owners = {target.name for target in self.targets if _holds(target, path)}
            if not owners and not globs.matches_any((*_DOCUMENTS, *docs), path):
                return self.targets
            touched |= owners
        while (
            more := {target.name for target in self.targets if touched.intersection(target.depends)}
            - touched
        ):
            touched |= more
        return tuple(target for target in self.targets if target.name in touched) or self.targets


def _holds(target: Target, path: str) -> bool:
    inside = bool(target.folder) and path.startswith(f"{target.folder}/")
    return inside or globs.matches_any((*target.source, *target.tests), path)


def make_result(
    context: GateContext,
    gate: GateName,
    *,
    failures: Sequence[str] = (),
    unseen: Sequence[str] = (),
    good: str = "",
    not_applicable: str = "",
    evidence: Evidence | None = None,
) -> GateResult:
    """Return the result of a gate.

    With `failures` it has failed. With only `unseen`, what could not be verified, the verdict is
    that the gate could not look. With neither it has passed, or is not applicable for the given
    reason.
    Both lists are the feedback for the next round.
    """
    problems = [*failures, *unseen]
    more = len(problems) - FEEDBACK_MAX_LINES
    feedback = [*problems[:FEEDBACK_MAX_LINES], *([f"and {more} more"] if more > 0 else [])]
    if failures:
        verdict = GateVerdict.FAILED
    elif unseen:
        verdict = GateVerdict.COULD_NOT_LOOK
    else:
        verdict = GateVerdict.NOT_APPLICABLE if not_applicable else GateVerdict.PASSED
    first = problems[0].partition("\n")[0] if problems else ""
    detail = f"{len(problems)} problem(s): {first}" if failures else "; ".join(unseen[:1])
    return GateResult(
        gate=gate,
        verdict=verdict,
        tree=context.tree,
        detail=detail or not_applicable or good,
        failures=tuple(feedback),
        evidence=evidence,
    )


def run_problem(problem: RunProblem) -> tuple[list[str], list[str]]:
    """Return the problem of a whole test run as (failures, what could not be verified)."""
    return ([problem.text], []) if problem.is_failure else ([], [problem.text])


def delivered_tests(red: GateResult | None, target: str) -> NewTests:
    """Return the tests of a target that the red gate found to be new; none without a red gate."""
    evidence = red.evidence if red is not None else None
    return evidence.of(target) if isinstance(evidence, RedEvidence) else NewTests()
