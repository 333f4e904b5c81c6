import os
import pathlib

import pytest


def test_old():
    mark = pathlib.Path(os.environ["HOME"]).parents[2] / "mark"
    if mark.exists():
        pytest.skip("seen")
    mark.write_text("")
