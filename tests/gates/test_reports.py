"""Reports as runners write them: what counts as a witness, as an assertion, and as a failure."""

from pathlib import Path

import pytest

from pipeline.core.evidence import FailureCause as Cause
from pipeline.gates.runners import cargo, javascript_errors, junit
from pipeline.gates.testrun import ProblemKind, without_canaries
from pipeline.gates.testrun import TestCase as Case
from pipeline.gates.testrun import TestOutcome as Outcome
from pipeline.gates.testrun import TestReport as Report
from tests.gates.recorded import printed, requested


@pytest.mark.parametrize("outcome", [Outcome.PASSED, Outcome.SKIPPED])
def test_a_canary_that_did_not_fail_makes_the_report_a_forgery(outcome):
    tests = {"t::c4n4ry": Case(outcome=outcome), "t::one": Case(outcome=Outcome.PASSED)}
    run = without_canaries(
        Report(tests=tests),
        tree="t",
        root=Path("/x"),
        canary="c4n4ry",
        command="c",
        code=1,
        duration_s=0.0,
    )
    assert run.problem is not None
    assert run.problem.kind is ProblemKind.FORGED
    assert "not believed" in run.problem.text


def test_a_command_that_selects_tests_leaves_nothing_to_verify_and_is_told_why():
    run = without_canaries(
        Report(tests={"t::one": Case(outcome=Outcome.PASSED)}, selects="-run TestOne"),
        tree="t",
        root=Path("/x"),
        canary="c4n4ry",
        command="c",
        code=0,
        duration_s=0.0,
    )
    assert run.problem is not None
    assert run.problem.kind is ProblemKind.NO_REPORT
    assert "-run TestOne" in run.problem.text
    assert "write a command that runs all tests" in run.problem.text


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("AssertionError: expected 3 to be 4", Cause.ASSERTION),
        ("AssertionError [ERR_ASSERTION]: 1 == 2", Cause.ASSERTION),
        ("Error: expect(received).toBe(expected) // Object.is equality", Cause.ASSERTION),
        ("SyntaxError: Expected property name or '}' in JSON at position 1", Cause.UNKNOWN),
        ("Error: Expected a token\n    at expect(x)", Cause.UNKNOWN),
        ("TypeError: a.b is not a function", Cause.MISSING_NAME),
        ("Error: Cannot find package 'nothere' imported from /x", Cause.MISSING_PACKAGE),
    ],
)
def test_only_an_assertion_of_javascript_counts_as_one(tmp_path, text, cause):
    request = requested(tmp_path, "jest", {})
    assert javascript_errors.reason_of(request, text, "a.test.js", set()).cause is cause


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            "thread 'adds' panicked at tests/a.rs:3:5:\nassertion `left == right` failed",
            Cause.ASSERTION,
        ),
        ("note: test did not panic as expected", Cause.ASSERTION),
        (
            (
                "thread 'adds' panicked at src/lib.rs:1:1:\ncalled `Option::unwrap()` on a `None` "
                "value"
            ),
            Cause.RAISED_IN_SOURCE,
        ),
    ],
)
def test_only_an_assertion_of_rust_counts_as_one(tmp_path, text, cause):
    request = requested(tmp_path, "cargo test", {"src/lib.rs": "", "tests/a.rs": ""})
    assert cargo.reason_of(request, text, "tests/a.rs").cause is cause


def junit_report(tmp_path, *elements: str):
    request = requested(tmp_path, "run {report}", {})
    request.report.write_text(f"<testsuite>{''.join(elements)}</testsuite>")
    return junit.read(request, printed(tmp_path)).tests


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        ('<failure message="expected 3"/>', Cause.ASSERTION),
        ('<failure type="org.opentest4j.AssertionFailedError" message="x"/>', Cause.ASSERTION),
        ('<failure type="java.lang.AssertionError" message="x"/>', Cause.ASSERTION),
        ('<error type="SyntaxError" message="expected a bracket"/>', Cause.UNKNOWN),
    ],
)
def test_the_type_of_a_junit_failure_goes_before_its_words(tmp_path, failure, cause):
    tests = junit_report(tmp_path, f'<testcase classname="t" name="one">{failure}</testcase>')
    assert tests["t::one"].reason.cause is cause


ONE = '<testcase classname="t" name="one">{}</testcase>'


@pytest.mark.parametrize("other", ["", "<skipped/>"])
@pytest.mark.parametrize("failure", ['<failure message="no"/>', '<error message="no"/>'])
def test_of_two_tests_with_one_name_a_failure_counts_whichever_comes_first(
    tmp_path, other, failure
):
    both = [ONE.format(other), ONE.format(failure)]
    for elements in (both, both[::-1]):
        case = junit_report(tmp_path, *elements)["t::one"]
        assert case.outcome in {Outcome.FAILED, Outcome.ERROR}
        assert case.message == "no"


def test_of_two_tests_with_one_name_a_skip_is_not_hidden_by_a_pass(tmp_path):
    both = [ONE.format(""), ONE.format("<skipped/>")]
    for elements in (both, both[::-1]):
        assert junit_report(tmp_path, *elements)["t::one"].outcome is Outcome.SKIPPED
