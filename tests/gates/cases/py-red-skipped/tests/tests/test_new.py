import pytest


def test_it():
    pytest.skip("later")
