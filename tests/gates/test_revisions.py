"""What may be done to delivered tests later: what is named with a reason, and nothing is left bare."""

import pytest

from pipeline.core.evidence import GateResult, GateVerdict, RedEvidence
from pipeline.gates.revisions import revisions
from pipeline.language.flow import GateName
from pipeline.language.schemas import HeldItem, NamedTest, TestDelivery
from tests.helpers.trees import BASE, trees

FILE = "tests/test_price.py"
TWO = "def test_one():\n    assert price(1) == 1\n\n\ndef test_two():\n    assert price(2) == 2\n"
ONE = "def test_one():\n    assert price(1) == 1\n"
HOLDS = (
    HeldItem(name=f"{FILE}::test_one", holds="1. one"),
    HeldItem(name=f"{FILE}::test_two", holds="2. two"),
)


@pytest.fixture
def revised(tmp_path):
    with trees(tmp_path, BASE) as work:
        earlier = GateResult(
            gate=GateName.RED,
            verdict=GateVerdict.PASSED,
            tree=work.plus(**{FILE: TWO}),
            detail="",
            evidence=RedEvidence(delivery=TestDelivery(tests=HOLDS)),
        )

        def look(text: str, **said) -> list[str]:
            delivery = TestDelivery(**said).on_top_of(TestDelivery(tests=HOLDS))
            context = work.context(work.plus(**{FILE: text}), earlier=earlier, delivery=delivery)
            return list(revisions(context))

        yield look


TAKEN_BACK = (NamedTest(name=f"{FILE}::test_two", why="the plan says otherwise"),)


def test_what_is_left_as_it_was_needs_no_word(revised):
    assert revised(TWO) == []


def test_a_test_that_was_taken_back_without_a_word_is_named(revised):
    assert any("test_two was changed or taken back" in line for line in revised(ONE))


def test_an_item_that_loses_its_last_test_is_named(revised):
    assert revised(ONE, revised=TAKEN_BACK) == ["no test is left for the plan's item '2. two'"]


def test_another_test_may_hold_the_item(revised):
    more = (HeldItem(name=f"{FILE}::test_pair", holds="2. two"),)
    text = ONE + "\n\ndef test_pair():\n    assert price(2) == 3\n"
    assert revised(text, revised=TAKEN_BACK, tests=more) == []
