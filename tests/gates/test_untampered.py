"""What goes back once: a change that reaches into the test process, and when it is refused."""

import pytest

from pipeline.core.evidence import GateResult, UntamperedEvidence
from pipeline.gates import table
from pipeline.language.flow import GateName
from tests.helpers.trees import Trees, trees

NEW = "from app.money import double\n\n\ndef test_double():\n    assert double(2) == 4\n"
HONEST = "def add(a, b):\n    return a + b\n\n\ndef double(a):\n    return 2 * a\n"
ASKS = HONEST.replace(
    "    return 2 * a",
    '    import os\n\n    return 4 if "PYTEST_CURRENT_TEST" in os.environ else 0',
)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    with trees(tmp_path_factory.mktemp("untampered")) as made:
        yield made


def judge(work: Trees, *, has_next_round: bool, **changes: str) -> GateResult:
    red = table.check(GateName.RED, work.context(work.plus(tests__test_new=NEW)))
    tree = work.plus(tests__test_new=NEW, **changes)
    context = work.context(tree, red, has_next_round=has_next_round)
    return table.check(GateName.UNTAMPERED, context)


@pytest.mark.slow
def test_a_fixture_beside_the_source_goes_back_once_and_then_stands_in_the_evidence(work):
    changes = {"src__app__money": HONEST, "src__conftest": "X = 1\n"}
    assert not judge(work, has_next_round=True, **changes).passed
    last = judge(work, has_next_round=False, **changes)
    assert last.passed
    assert isinstance(last.evidence, UntamperedEvidence)
    assert last.evidence.observers == (
        "src/conftest.py: runs inside the tests, and is no test file",
    )
    assert "src/conftest.py" in last.detail


def test_source_that_asks_for_the_tests_is_refused_for_good_where_that_decides(work):
    found = judge(work, has_next_round=False, src__app__money=ASKS)
    assert not found.passed
    assert any("without it the test command ends otherwise" in line for line in found.failures)


def test_a_new_file_that_asks_goes_back_once_and_is_not_refused_for_what_needs_it(work):
    changes = {"src__app__server": ASKS, "src__app__money": "from app.server import double\n"}
    assert not judge(work, has_next_round=True, **changes).passed
    last = judge(work, has_next_round=False, **changes)
    assert last.passed
    assert "src/app/server.py:8: asks whether it is being tested" in last.detail


def test_a_check_that_is_switched_off_for_a_file_goes_back_once(work):
    changes = {"src__app__money": f"# ruff: noqa\n{HONEST}"}
    assert not judge(work, has_next_round=True, **changes).passed
    last = judge(work, has_next_round=False, **changes)
    assert last.passed
    assert "src/app/money.py:1: switches a check off for the whole file" in last.detail


def test_a_project_that_is_about_tests_may_import_their_framework(tmp_path):
    base = {"src/app/money.py": "import unittest\n\n\ndef add(a, b):\n    return a + b\n"}
    with trees(tmp_path, base) as about_tests:
        changed = HONEST.replace("def double", "from unittest import TestCase\n\n\ndef double")
        last = judge(
            about_tests, has_next_round=False, src__app__money=f"import unittest\n\n\n{changed}"
        )
    assert last.passed
    assert "reaches into the test framework" in last.detail
