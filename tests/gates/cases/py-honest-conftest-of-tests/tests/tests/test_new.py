from app.money import double


def test_double(two):
    assert double(two) == 4
