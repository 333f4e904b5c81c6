from app.money import double


def test_double():
    assert double(2) == 4


def test_three():
    assert double(3) == 6
