import pytest

from app import money


def test_double():
    assert money.double(2) == pytest.approx(4)


def test_text():
    with pytest.raises(TypeError):
        money.double('a')
