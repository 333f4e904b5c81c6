from app import money


def test_double():
    assert money.double(2) == 4


def test_add_stays():
    assert money.add(2, 2) == 4
