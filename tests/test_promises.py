"""Every sentence of a prompt that promises something about the engine is held by a test."""

import ast
import re
from pathlib import Path

import pytest

from pipeline.prompts.brief import GATE_WORDS

ROOT = Path(__file__).parents[1]
PROMPTS = sorted((ROOT / "agent_prompts").glob("*.j2"))
CASES, FLOWS = ROOT / "tests" / "gates" / "cases", ROOT / "tests" / "flows"

ATTEMPT, GATES = "tests/engine/test_attempt.py", "tests/gates/test_gates.py"
ROAD, SHIPPED = "tests/journeys/test_road_back.py", "tests/journeys/test_shipped_workflows.py"
SUCCESS, RULES = "tests/journeys/test_success.py", "tests/core/test_decide_rules.py"
NEEDS = "flow stage-is-given-what-its-needs-reach-and-nothing-else"

PROMISES = {
    "Nobody answers questions": "flow agent-that-may-not-ask-fails",
    "is a checkout made for this run": f"{ATTEMPT}::test_what_runs_at_the_same_time_has_workspaces_of_its_own",
    "runs once for each item": "flow agent-is-told-the-idea-and-its-item",
    "the same failure or the same files again end the loop": f"{RULES}::test_no_progress_counts_at_the_end_not_at_the_beginning",
    "In the folder": NEEDS,
    "counts as failure": f"{ATTEMPT}::test_an_agent_that_changed_nothing_has_not_done_what_must_be_done",
    "You may leave them as they are": "flow agent-may-leave-what-its-lock-lets-it-write",
    "Changes to other files are undone and fail this attempt": f"{ATTEMPT}::test_an_attempt_that_wrote_where_it_may_not_fails_and_its_change_is_no_part_of_the_run",
    "new files elsewhere are dropped": f"{ATTEMPT}::test_new_files_elsewhere_are_dropped_and_named_and_break_no_rule",
    "The engine commits and pushes": f"{SUCCESS}::test_there_is_one_branch_one_pull_request_and_nothing_else_on_the_remote",
    "ask a person and do nothing else": "flow planner-asks-a-person-and-goes-on",
    "say where and do nothing else": "flow planner-says-it-is-there-already",
    "only if you have something to say in it": f"{ROAD}::test_the_tester_may_leave_the_tests_and_then_the_developer_is_on_its_own",
    "JSON in exactly this shape": "tests/engine/test_task.py::test_an_output_that_does_not_have_its_shape_is_not_accepted",
    "make the content of": "tests/engine/test_task.py::test_the_answer_is_taken_for_the_one_output_that_is_missing",
    "The tester and the developer work by what you write": NEEDS,
    "you cannot change them": "flow writes-through-a-lock-on-source-leaves-tests-alone",
    "the tester reads it": f"{ROAD}::test_a_wrong_test_is_mended_without_a_person_and_the_pull_request_says_so",
    "a line in the changelog": "tests/gates/test_documents.py::test_a_missing_line_goes_back_once_and_is_then_said",
    "only with the case in which it misleads": "tests/gates/test_gates.py::test_findings_without_a_place_are_dropped_and_blocking_ones_pass_in_the_last_round",
    "only with a scenario that you saw fail": "tests/gates/test_gates.py::test_findings_without_a_place_are_dropped_and_blocking_ones_pass_in_the_last_round",
    "`change.diff`": "tests/journeys/test_price.py::test_a_small_idea_takes_five_calls_and_few_words",
    "Tell the tester and the developer": NEEDS,
    "and the analysts should": NEEDS,
    "Answer the planner's questions first": NEEDS,
    "The work did not pass its gates": f"{RULES}::test_an_exhausted_loop_starts_the_workflow_that_looks_for_the_cause",
    "The work has not passed its gates": f"{RULES}::test_an_exhausted_loop_starts_the_workflow_that_looks_for_the_cause",
    "No source: that is why they fail": f"{GATES}::test_a_new_file_that_cannot_be_imported_yet_is_red",
    "Importing a module that does not exist yet is fine": f"{GATES}::test_a_new_file_that_cannot_be_imported_yet_is_red",
    "No skips": "case py-red-skipped",
    "`changed` (fails now, passes later)": "case py-old-test-changed",
    "`removed`, or": "case py-old-test-removed",
    "`kept` (renamed or moved": "case py-old-test-renamed",
    "asserts as much as before": "case py-old-test-kept-and-hollowed",
    "goes under `removed`; write a new one in its place": "case cargo-old-test-in-source-hollowed",
    "hold what must not change (`guards`)": "case py-guard",
    "on every machine (`skipped`)": "case py-new-test-skip-allowed",
    "settings of the test run that you had to add": "case py-settings-named",
    "Name tests as reports do, or as FILE::NAME": "case go-old-test-changed-by-name",
    "The tests were delivered, and now somebody says": f"{ROAD}::test_a_wrong_test_is_mended_without_a_person_and_the_pull_request_says_so",
    "under `revised`, with the reason": f"{ROAD}::test_what_is_revised_without_a_reason_is_refused_and_the_tester_is_told",
    "what it does not name stays as delivered": "tests/gates/test_revisions.py::test_a_test_that_was_taken_back_without_a_word_is_named",
    "has to fail without the change to the source": "case py-red-passes-already",
    "No item of the plan may be left without a test": "tests/gates/test_revisions.py::test_an_item_that_loses_its_last_test_is_named",
    "leave the tests and say why": f"{ROAD}::test_the_tester_may_leave_the_tests_and_then_the_developer_is_on_its_own",
    "The gates have looked at the developer's work": "flow gates-first-call-an-agent-that-is-told-what-they-found",
    "in the change and the log": f"{ATTEMPT}::test_the_next_round_has_the_whole_log_and_the_change_that_was_refused",
    "Nothing in the repository": "flow writing-elsewhere-fails-the-stage",
    "What an old test takes from its file": "case py-old-test-weakened-method",
}
"""What a prompt says of the engine, and the test that fails where it is not so."""

GATE_PROMISES = {
    "red": ["case py-red-syntax-error", "case py-red-passes-already", "case py-old-test-hollowed"],
    "green": ["case py-new-test-skips-later", "case py-coverage-floor", "case py-deselected-by-options"],
    "proof": ["case py-proof-passes-without", "case py-proof-asserts-nothing"],
    "noticed": ["tests/gates/test_noticed.py::test_a_function_of_which_no_test_notices_a_fault_is_refused_by_name"],
    "checks": ["case py-check-new-finding", "case py-check-untouched-caller"],
    "untampered": ["case py-tests-changed-later", "case py-settings-floor-lowered", "case py-observer-asks"],
    "findings": [f"{GATES}::test_findings_without_a_place_are_dropped_and_blocking_ones_pass_in_the_last_round"],
    "documents": ["tests/gates/test_documents.py::test_a_missing_line_goes_back_once_and_is_then_said"],
}  # fmt: skip

_PROMISING = re.compile(
    r"\b(engine|undone|dropped|counts?|end the loop|has to fail|may be left|cannot change|reads it|"
    r"work by what|commits|gates?|Nobody answers|once for each|blocking|passes|fails?|"
    r"somebody says|Tell the tester|analysts|planner's|name[sd]?|leave the tests)\b"
)
_NO_PROMISE = (
    "Changes to this file", "Tests are run with", "somebody who has to maintain it", "names, style",
    "Follow AGENTS.md", "a title of at most", "functions and names that tests will import",
    "Run the tests before", "Reproduce each failure", "what fails, why", "Name the function",
    "names that are sentences", "name in `checks`", "Find the cause of each failure",
    "say for each", "A finding names file and line", "names, docstrings, error messages",
    "`tests.json` then names it", "Write the source that makes all tests pass", "gives no orders",
    "Every prompt stands in this frame", "What the engine checks", "tests that fail today",
    "Everything that", "pipeline that turns an idea", "Write what does not match",
)  # fmt: skip
"""Sentences with such a word that ask for something, and headings."""


def sentences(path: Path) -> list[str]:
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}", " ", path.read_text(), flags=re.DOTALL)
    text = re.sub(r"```.*?```", " ", text, flags=re.DOTALL)
    parts = re.split(r"(?<=[.:;?])\s+|\n\s*\n|\n(?=- |#)", text)
    return [" ".join(part.split()) for part in parts if part.strip()]


def words_of(path: Path) -> str:
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}", " ", path.read_text(), flags=re.DOTALL)
    return " ".join(text.split())


@pytest.mark.parametrize("path", PROMPTS, ids=lambda path: path.name)
def test_a_sentence_that_promises_something_is_in_the_table(path):
    whole = words_of(path)
    spans = [
        (found.start(), found.end())
        for promise in PROMISES
        for found in re.finditer(re.escape(promise), whole)
    ]
    for sentence in sentences(path):
        if not _PROMISING.search(sentence) or any(word in sentence for word in _NO_PROMISE):
            continue
        at = whole.find(sentence)
        assert any(start < at + len(sentence) and at < end for start, end in spans), sentence


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_is_made_and_its_test_is_there(promise):
    assert any(promise in words_of(path) for path in PROMPTS), "no prompt says so any more"
    assert is_there(PROMISES[promise])


def test_what_gates_check_is_held_by_cases():
    assert set(GATE_PROMISES) == set(GATE_WORDS)
    missing = [test for tests in GATE_PROMISES.values() for test in tests if not is_there(test)]
    assert not missing


def is_there(test: str) -> bool:
    kind, _, name = test.partition(" ")
    if kind == "case":
        return (CASES / name).is_dir()
    if kind == "flow":
        return (FLOWS / f"{name}.yaml").is_file()
    path, _, function = test.partition("::")
    if not (ROOT / path).is_file():
        return False
    tree = ast.parse((ROOT / path).read_text())
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body)
