from app.money import add


def test_add():
    assert add(1, 2) == 3


def test_adding_nothing():
    assert add(0, 0) == 0
