from app import names
from app.money import double


def test_double():
    assert double(2) == 4


def test_name():
    assert names.name("a") == "A"
