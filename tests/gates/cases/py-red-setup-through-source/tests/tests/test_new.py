import pytest

from app.shop import Shop


@pytest.fixture
def shop():
    return Shop(-1)


def test_no_limit(shop):
    assert shop.limit == 0
