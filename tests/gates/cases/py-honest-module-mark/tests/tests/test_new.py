import sys

import pytest

from app import money

pytestmark = pytest.mark.skipif(sys.platform == "nowhere", reason="not there")


def test_double():
    assert money.double(2) == 4
