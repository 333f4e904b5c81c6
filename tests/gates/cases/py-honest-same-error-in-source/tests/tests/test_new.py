from app.money import share


def test_no_parts():
    assert share(4, 0) == 0
