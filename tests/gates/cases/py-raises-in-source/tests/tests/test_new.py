from app.money import first


def test_first_of_none():
    assert first([]) is None
