import pytest


@pytest.fixture(autouse=True)
def quiet():
    yield
