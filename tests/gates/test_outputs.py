"""What is read from the output of a runner alone: failing tests, and Rust's test harness."""

import pytest

from pipeline.gates.runners.cargo_output import blocks
from pipeline.gates.runners.failed import failing_lines, is_named


@pytest.mark.parametrize(
    ("line", "words", "reported"),
    [
        ("FAILED tests/a.py::test_b - assert 1", "tests a test_b", "tests.a::test_b"),
        ("FAIL: test_b (tests.a.T.test_b)", "tests a T test_b", "tests.a.T::test_b"),
        ("ERROR: test_b (tests.a.T)", "tests a T test_b", "tests.a.T::test_b"),
        ("    --- FAIL: TestB/one (0.00s)", "TestB one", ".::TestB/one"),
        ("not ok 12 - doubles", "doubles", "test/a.test.js::doubles"),
        ("  \u2716 doubles (1.2ms)", "doubles", "test/a.test.js::doubles"),
        ("test inner::b ... FAILED", "inner b", "src/lib.rs::inner::b"),
        ("  \u25cf group \u203a doubles", "group doubles", "test/a.test.js::group doubles"),
        ("\x1b[31m FAIL \x1b[0m test/a.test.js > b", "test a test js b", "test/a.test.js::b"),
    ],
)
def test_a_failing_test_is_read_from_a_line_and_known_by_its_reported_name(line, words, reported):
    assert list(failing_lines(f"so far\n{line}\n")) == [words]
    assert is_named(words, [reported])
    assert not is_named(words, ["tests.a::test_other"])


@pytest.mark.parametrize(
    "line", ["FAILED (failures=1)", "1 failed", "ok 1 - a", "FAIL", "--- PASS: A"]
)
def test_other_lines_name_no_failing_test(line):
    assert failing_lines(line) == {}


RESULT = "test result: ok. {} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out"


def test_a_harness_that_came_to_its_end_is_believed():
    (block,) = blocks(["", "running 1 test", "test a ... ok", "", RESULT.format(1)])
    assert block.is_whole
    assert block.results == [("a", "ok", "")]


@pytest.mark.parametrize(
    "lines",
    [
        ["running 1 test", "test a ... ok"],
        ["running 2 tests", "test a ... ok", RESULT.format(1)],
        ["running 1 test", "test a ... ok", "test b ... ok", RESULT.format(1)],
        ["running 1 test", "test a ... ok", "", "running 0 tests", RESULT.format(0)],
    ],
)
def test_a_harness_whose_end_is_missing_or_counts_otherwise_is_not_believed(lines):
    assert not next(blocks(lines)).is_whole


def test_with_one_thread_what_a_test_prints_stands_before_its_outcome():
    lines = ["running 2 tests", "test a ... running the migrations", "running 3 tests", "done ok"]
    lines += ["test b ... FAILED", RESULT.format(1).replace("0 failed", "1 failed")]
    (block,) = blocks(lines)
    assert block.results == [("a", "ok", ""), ("b", "FAILED", "")]
    assert block.is_whole
