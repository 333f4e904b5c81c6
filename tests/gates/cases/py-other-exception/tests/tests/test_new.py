import pytest

from app.money import share


def test_no_parts():
    with pytest.raises(ValueError):
        share(1, 0)
