"""Reports as runners write them: what counts as a witness, and what as an assertion."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pipeline.gates.runners import cargo, javascript, junit
from pipeline.gates.testrun import Seen, believed
from pipeline.gates.testrun import TestCase as Case
from pipeline.gates.testrun import TestOutcome as Outcome


@pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.FAILED])
def test_a_canary_that_did_not_fail_makes_the_report_a_forgery(outcome):
    seen = Seen(tests={"t::c4n4ry": Case(outcome=outcome), "t::one": Case(outcome=Outcome.PASSED)})
    run = believed(seen, tree="t", root=Path("/x"), canary="c4n4ry", command="c", duration_s=0.0)
    assert "not believed" in run.problem


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("AssertionError: expected 3 to be 4", "AssertionError"),
        ("AssertionError [ERR_ASSERTION]: 1 == 2", "AssertionError"),
        ("Error: expect(received).toBe(expected) // Object.is equality", "AssertionError"),
        ("SyntaxError: Expected property name or '}' in JSON at position 1", "SyntaxError"),
        ("Error: Expected a token\n    at expect(x)", "Error"),
        ("TypeError: a.b is not a function", "missing name"),
        ("Error: Cannot find package 'nothere' imported from /x", "ModuleNotFoundError"),
    ],
)
def test_only_an_assertion_of_javascript_counts_as_one(text, kind):
    assert javascript.told(text, "a.test.js", set()).type == kind


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            "thread 'adds' panicked at tests/a.rs:3:5:\nassertion `left == right` failed",
            "AssertionError",
        ),
        ("note: test did not panic as expected", "AssertionError"),
        (
            "thread 'adds' panicked at src/lib.rs:1:1:\ncalled `Option::unwrap()` on a `None` value",
            "panic",
        ),
    ],
)
def test_only_an_assertion_of_rust_counts_as_one(said, kind):
    assert cargo.told(said, "tests/a.rs").type == kind


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        ('<failure message="expected 3"/>', "AssertionError"),
        (
            '<failure type="org.opentest4j.AssertionFailedError" message="x"/>',
            "AssertionFailedError",
        ),
        ('<failure type="java.lang.AssertionError" message="x"/>', "AssertionError"),
        ('<error type="SyntaxError" message="expected a bracket"/>', "SyntaxError"),
    ],
)
def test_the_type_of_a_junit_failure_goes_before_its_words(failure, kind):
    found = ET.fromstring(failure)
    told = junit.guessed(found, found.get("message") or "").type
    assert told == ("AssertionError" if "Assert" in kind else kind)
