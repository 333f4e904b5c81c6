from app.money import double


def test_double():
    assert double
