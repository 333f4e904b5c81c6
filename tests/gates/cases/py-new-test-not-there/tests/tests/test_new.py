import app.money


from app.money import double


def test_double():
    assert double(2) == 4


def test_extra():
    assert double(3) == 6


if hasattr(app.money, "HIDE"):
    del test_extra
