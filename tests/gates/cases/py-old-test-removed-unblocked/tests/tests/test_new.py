from app import money


def test_double():
    assert money.double(2) == 4
