"""The gate `noticed`: work that restructures leaves no function without a test that looks at it."""

import pytest

from pipeline.core.evidence import GateVerdict
from pipeline.gates import table
from pipeline.language.flow import GateName
from tests.helpers.trees import BASE, trees

PRICE = """
def price(amount, is_member):
    if is_member:
        return amount - 1
    return amount + 2
"""
TESTS = """
from app.price import price


def test_members_pay_less():
    assert price(10, True) == 9


def test_others_pay_a_fee():
    assert price(10, False) == 12
"""
SPLIT = """
def price(amount, is_member):
    return lower(amount) if is_member else higher(amount)


def lower(amount):
    return amount - 1


def higher(amount):
    return amount + 2
"""
WITH_MORE = (
    SPLIT
    + """

def rounded(amount):
    return amount // 10 * 10
"""
)


@pytest.fixture
def work(tmp_path):
    base = {**BASE, "src/app/price.py": PRICE, "tests/test_price.py": TESTS}
    with trees(tmp_path, base) as made:
        yield made


def look(work, **changes):
    return table.check(GateName.NOTICED, work.context(work.plus(**changes)))


@pytest.mark.slow
def test_a_function_that_is_split_is_tested_as_before(work):
    found = look(work, **{"src/app/price.py": SPLIT})
    assert found.verdict is GateVerdict.PASSED, found.failures
    assert not found.evidence.now.untested
    assert found.evidence.before.all_noticed == found.evidence.before.all_tried > 0


def test_a_function_of_which_no_test_notices_a_fault_is_refused_by_name(work):
    found = look(work, **{"src/app/price.py": WITH_MORE})
    assert found.verdict is GateVerdict.FAILED
    told = "\n".join(found.failures)
    assert "the tests notice less than before" in told
    assert "rounded" in told
    assert "higher" not in told


@pytest.mark.slow
def test_what_no_test_looked_at_before_is_not_held_against_the_change(tmp_path):
    base = {**BASE, "src/app/price.py": PRICE}
    with trees(tmp_path, base) as work:
        found = look(work, **{"src/app/price.py": SPLIT})
    assert found.verdict is GateVerdict.PASSED
    assert found.evidence.now.all_noticed == 0


def test_without_a_line_that_a_fault_could_be_put_into_it_is_not_applicable(work):
    found = look(work, **{"src/app/price.py": PRICE + "\n# a word more\n"})
    assert found.verdict is GateVerdict.NOT_APPLICABLE
    assert "no single fault was tried" in found.detail
