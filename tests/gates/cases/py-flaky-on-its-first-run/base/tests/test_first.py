import os
import pathlib


def test_first():
    mark = pathlib.Path(os.environ["HOME"]).parents[2] / "mark"
    there = mark.exists()
    mark.write_text("")
    assert there
    assert "double" not in pathlib.Path("src/app/money.py").read_text()
