from app.money import share


def test_known():
    assert share(1, 0) == 0
