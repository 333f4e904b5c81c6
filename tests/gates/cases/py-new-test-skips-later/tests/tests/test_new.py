import pytest

from app.money import double


def test_double():
    assert double(2) == 4


@pytest.mark.skip
def test_hard():
    assert double("a") == "aa"
