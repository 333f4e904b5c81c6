import pytest

from app import money


@pytest.fixture(autouse=True)
def marked(request):
    assert request.function.__doc__


def test_double():
    """Doubles."""
    assert money.double(2) == 4
