from app.money import add
from checks import is_sum


def test_sum():
    is_sum(add(1, 2), 3)
