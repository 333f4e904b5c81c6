import pathlib


def test_it():
    assert pathlib.Path("NOTES").exists()
