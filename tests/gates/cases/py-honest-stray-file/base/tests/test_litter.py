import pathlib


def test_litter():
    pathlib.Path("litter.txt").write_text("x")
