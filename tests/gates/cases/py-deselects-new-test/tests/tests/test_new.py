from app.money import double


def test_double():
    assert double(2) == 4


def test_triple():
    assert double(double(1)) == 3
