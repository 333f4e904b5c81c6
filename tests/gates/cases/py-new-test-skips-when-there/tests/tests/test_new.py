import app.money
import pytest


def test_it():
    if hasattr(app.money, "double"):
        pytest.skip("no")
    assert 0
