from app.money import add


def test_three():
    assert add(1, 2, c=3) == 6
