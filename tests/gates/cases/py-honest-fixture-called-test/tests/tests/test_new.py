import pytest

from app.money import double


@pytest.fixture
def test_amount():
    return 2


def test_double(test_amount):
    assert double(test_amount) == 4
