from app.money import share


def test_share_rounds():
    assert share(1, 3) == 0.33
