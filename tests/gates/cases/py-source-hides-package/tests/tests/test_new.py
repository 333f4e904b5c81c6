import yaml

from app.money import double


def test_double():
    assert yaml.safe_dump({'a': double(2)}) == 'a: 4\n'
