from app.money import double


def test_double():
    assert double(2) == 4


def test_windows():
    import pytest

    pytest.skip("only on Windows")
