import pytest

from app import money


@pytest.fixture
def test_amount():
    return 2


def test_one(test_amount):
    assert money.add(test_amount, 0) > 0


def test_double(test_amount):
    assert money.double(test_amount) == 4
