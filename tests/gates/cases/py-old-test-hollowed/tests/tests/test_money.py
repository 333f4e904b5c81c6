from app.money import add


def test_add():
    assert True


def test_add_zero():
    assert add(0, 0) == 0
