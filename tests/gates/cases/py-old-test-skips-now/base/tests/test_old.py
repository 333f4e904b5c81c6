import pytest

import app


def test_old():
    if getattr(app, "FAST", False):
        pytest.skip("fast")
    assert 1
