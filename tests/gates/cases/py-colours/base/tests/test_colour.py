import os


def test_colour():
    assert "NO_COLOR" not in os.environ
    assert "CI" not in os.environ
