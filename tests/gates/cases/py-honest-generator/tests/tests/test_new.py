from app.seq import evens


def test_evens():
    assert list(evens(5)) == [0, 2, 4]
