from app.db import connect


def test_db():
    assert connect()
