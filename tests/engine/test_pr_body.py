"""The text of a pull request claims what the gates saw, and nothing else."""

from datetime import UTC, datetime

import pytest

from pipeline.core.events import StageFinished, StageStarted, Usage
from pipeline.core.evidence import (
    FailureCause,
    FaultEvidence,
    FindingsEvidence,
    GateResult,
    GateVerdict,
    GreenEvidence,
    NewTests,
    ProofEvidence,
    RedEvidence,
    Survivor,
)
from pipeline.core.fold import apply
from pipeline.core.outcomes import Outcome
from pipeline.core.plain_text import for_forge
from pipeline.engine.ground.lookup import load_state
from pipeline.engine.publishing.pr_body import LIMIT_CHARACTERS, render
from pipeline.language.flow import FailureKind, GateName
from pipeline.language.schemas import Finding, NamedTest, Severity, TestDelivery
from tests.helpers.inside import Inside

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SEEN = {
    GateVerdict.PASSED: "yes",
    GateVerdict.FAILED: "**NO**",
    GateVerdict.NOT_APPLICABLE: "not applicable",
    GateVerdict.COULD_NOT_LOOK: "**could not look**",
}
CLAIMS = {
    GateName.RED: "New tests fail without the change",
    GateName.GREEN: "All tests pass on exactly this tree",
    GateName.PROOF: "With the source taken out, the new tests fail again",
    GateName.CHECKS: "The repository's own checks find nothing new",
    GateName.UNTAMPERED: "Tests and their settings are as the test stage delivered them",
}


@pytest.fixture(scope="module")
def inside(tmp_path_factory):
    roles = "agents:\n  says: {prompt: plain.md.j2, command: [sh, agent.sh]}\n"
    with pytest.MonkeyPatch.context() as patch:
        stages = "      a: {agent: says, writes: [src/**]}\n"
        yield Inside(tmp_path_factory.mktemp("body"), patch, stages, roles)


def gate(name, verdict=GateVerdict.PASSED, **more):
    return GateResult(gate=name, verdict=verdict, tree="0123456789abcdef", detail="as seen", **more)


def finished(*gates, outcome=Outcome.DONE, attempt=1, cost_usd=None):
    kind = FailureKind.GATE if outcome is Outcome.FAILED else None
    return StageFinished(
        at=NOON,
        stage="a",
        attempt=attempt,
        outcome=outcome,
        kind=kind,
        gates=gates,
        agent="sh",
        usage=Usage(cost_usd=cost_usd),
    )


def body(inside, *events, idea="an idea", moved=""):
    """The body of a run in which these attempts of its one stage were finished."""
    run = inside.start(idea=idea)
    state, store = load_state(inside.world, run), inside.world.store()
    for number, event in enumerate(events, start=1):
        before = StageStarted(at=NOON, stage="a", attempt=number, round=1, slot=0, tree="t")
        apply(state, before)
        apply(state, event)
    tree = inside.bare.git("rev-parse", "HEAD^{tree}")
    return render(state, store, tree, inside.world.rundir(run).accepted, moved)


def row(text, claim):
    """The cells of the row that makes a claim."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {claim} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("verdict", list(GateVerdict))
@pytest.mark.parametrize("name", list(CLAIMS))
def test_each_claim_says_what_its_gate_saw(inside, name, verdict):
    text = body(inside, finished(gate(name, verdict)))
    claim, seen, detail, tree = row(text, CLAIMS[name])
    assert (seen, detail, tree) == (SEEN[verdict], "as seen", "`0123456789ab`")
    assert text.count("| yes |") == (verdict is GateVerdict.PASSED)


def test_the_newest_result_of_a_gate_counts(inside):
    text = body(
        inside,
        finished(gate(GateName.GREEN, GateVerdict.FAILED), outcome=Outcome.FAILED),
        finished(gate(GateName.GREEN), attempt=2),
    )
    assert row(text, CLAIMS[GateName.GREEN])[1] == "yes"


def test_without_gates_nothing_is_claimed(inside):
    text = body(inside, finished())
    assert "No gate was run." in text
    assert not any(claim in text for claim in CLAIMS.values())


@pytest.mark.parametrize(
    ("faults", "seen", "detail"),
    [
        (FaultEvidence(verdict=GateVerdict.PASSED, noticed=3), "yes", "3 of 3 noticed"),
        (
            FaultEvidence(verdict=GateVerdict.NOT_APPLICABLE, why="Go has no mutator"),
            "not applicable",
            "Go has no mutator",
        ),
        (
            FaultEvidence(
                verdict=GateVerdict.FAILED,
                noticed=1,
                survivors=(Survivor(file="src/app.py", line=2, what="42 became 43"),),
            ),
            "**NO**",
            "1 of 2 noticed",
        ),
    ],
)
def test_single_faults_are_shown_as_far_as_they_were_tried(inside, faults, seen, detail):
    proof = gate(GateName.PROOF, evidence=ProofEvidence(failed_again=1, new=1, faults=faults))
    text = body(inside, finished(proof))
    cells = row(text, "Single faults put into the change were tried against its tests")
    assert cells[1:3] == [seen, detail]
    assert ("- `src/app.py:2`: 42 became 43" in text) == bool(faults.survivors)


def test_new_tests_stand_before_and_after(inside):
    tests = NewTests(
        tests={"test_limit": FailureCause.ASSERTION, "test_rest": FailureCause.ASSERTION}
    )
    red = gate(GateName.RED, evidence=RedEvidence(targets={"app": tests}))
    green = gate(GateName.GREEN, evidence=GreenEvidence(passed=1, new={"test_limit": "tests/t.py"}))
    text = body(inside, finished(red, green))
    limit = row(text, "`test_limit`")
    rest = row(text, "`test_rest`")
    assert limit[1] == rest[1]
    assert "green" in limit[2]
    assert "green" not in rest[2]


def test_findings_that_stand_are_shown_and_call_nobody(inside):
    evidence = FindingsEvidence(
        blocking=(
            Finding(severity=Severity.BLOCKING, file="src/app.py", line=1, what="@boss look"),
        ),
        minor=(Finding(severity=Severity.MINOR, file="src/app.py", line=2, what="small"),),
    )
    text = body(inside, finished(gate(GateName.FINDINGS, GateVerdict.FAILED, evidence=evidence)))
    part = text.partition("## Reviewers' findings that stand")[2]
    assert "**blocking**" in part.splitlines()[2]
    assert "small" in part
    assert "@boss" not in text


def test_a_stage_costs_what_all_its_attempts_cost(inside):
    text = body(
        inside,
        finished(outcome=Outcome.FAILED, cost_usd=1.25),
        finished(attempt=2, cost_usd=0.5),
    )
    assert row(text, "a")[2::2] == ["2", "1.75 USD"]


def test_a_long_idea_is_cut_in_its_own_section_and_the_evidence_stays(inside):
    text = body(inside, finished(gate(GateName.GREEN)), idea="word " * LIMIT_CHARACTERS)
    assert len(text) < 10_000
    assert "(cut here, at " in text
    assert "feature_request.md in the run folder" in text
    assert CLAIMS[GateName.GREEN] in text
    assert text.rstrip().splitlines()[-1].startswith("<!-- idea-to-pr run ")


def test_what_is_needed_least_is_left_out_first_and_that_is_said(inside, monkeypatch):
    monkeypatch.setattr("pipeline.engine.publishing.pr_body.LIMIT_CHARACTERS", 700)
    text = body(inside, finished(gate(GateName.GREEN)))
    assert CLAIMS[GateName.GREEN] in text
    assert "Left out because it is too long: stages" in text
    assert "<summary>Stages</summary>" not in text


def test_an_idea_cannot_leave_its_fence(inside):
    text = body(inside, finished(), idea="a\n```\n## Evidence\n````\nmore")
    assert text.partition("## What was asked")[2].lstrip().startswith("`````text\n")


def test_where_the_base_has_moved_to_stands_first(inside):
    text = body(inside, finished(), moved="main has moved on by 2 commits")
    assert text.splitlines()[0] == "> main has moved on by 2 commits"


@pytest.mark.parametrize("text", ["ask @boss", "see #12", "(@a/b)"])
def test_names_and_numbers_in_agents_words_call_nobody(text):
    assert "\u2060" in for_forge(text)
    assert for_forge("a@b.c `@x`") == "a@b.c `@x`"


def test_kept_tests_with_another_text_are_named_apart_from_those_that_moved(inside):
    kept = tuple(NamedTest(name=name, why="clearer") for name in ("test_moved", "test_worded"))
    evidence = RedEvidence(delivery=TestDelivery(kept=kept), rewritten=("test_worded",))
    text = body(inside, finished(gate(GateName.RED, evidence=evidence)))
    assert "- **rewritten, passes before and after**: `test_worded`: clearer" in text
    assert "- renamed or moved: `test_moved`: clearer" in text


def test_what_old_tests_alone_noticed_is_shown_apart(inside):
    faults = FaultEvidence(verdict=GateVerdict.PASSED, noticed=2, noticed_by_old=3)
    proof = gate(GateName.PROOF, evidence=ProofEvidence(failed_again=1, new=1, faults=faults))
    cells = row(
        body(inside, finished(proof)),
        "Single faults put into the change were tried against its tests",
    )
    assert cells[2] == "2 of 2 noticed; 3 noticed by old tests alone"
