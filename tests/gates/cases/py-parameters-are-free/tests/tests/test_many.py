import pytest

from app.money import add


@pytest.mark.parametrize("n", [1, 2, "3"])
def test_many(n):
    assert add(n, 0) == int(n)
