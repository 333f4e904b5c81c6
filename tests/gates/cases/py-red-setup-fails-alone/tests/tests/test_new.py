import pytest


@pytest.fixture
def server():
    raise ConnectionRefusedError("127.0.0.1:5432")


def test_it(server):
    assert 0
