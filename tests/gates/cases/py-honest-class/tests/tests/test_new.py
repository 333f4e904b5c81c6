import pytest

from app.box import Box


@pytest.fixture
def box():
    return Box(2)


def test_put(box):
    box.put(1)
    assert box.items == [1]


def test_full(box):
    box.put(1)
    box.put(2)
    with pytest.raises(OverflowError):
        box.put(3)
