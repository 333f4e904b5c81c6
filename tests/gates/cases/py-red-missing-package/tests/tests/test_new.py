import httpx


def test_it():
    assert httpx.get
