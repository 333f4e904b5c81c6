from app import money


def test_it():
    assert money.median
