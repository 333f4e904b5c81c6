import pytest

from app.money import double


@pytest.mark.parametrize(("a", "wanted"), [(0, 0), (2, 4), (-1, -2)])
def test_double(a, wanted):
    assert double(a) == wanted
