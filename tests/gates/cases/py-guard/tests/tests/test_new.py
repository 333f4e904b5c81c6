from app.money import double


def test_double():
    assert double(2) == 4


def test_add_stays():
    from app.money import add

    assert add(2, 2) == 4
