from app.money import add


def test_known():
    assert add(1, 1) == 3
