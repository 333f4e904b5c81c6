from app.money import add


def test_add():
    assert add(2, 1) == 3


def test_add_zero():
    assert add(0, 0) == 0
