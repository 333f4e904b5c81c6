from app.db import connect


def test_rows():
    assert connect().rows() == []
