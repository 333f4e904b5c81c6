from app import names


def test_version():
    assert names.VERSION == (1, 2)
