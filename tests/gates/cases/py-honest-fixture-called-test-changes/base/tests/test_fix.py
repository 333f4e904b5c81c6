import pytest

from app import money


@pytest.fixture
def test_amount():
    return 1


def test_one(test_amount):
    assert money.add(test_amount, 0) > 0
