import pytest

from app.size import size


@pytest.mark.parametrize(("text", "wanted"), [("2k", 2000), ("3", 3)])
def test_size(text, wanted):
    assert size(text) == wanted


def test_nonsense():
    with pytest.raises(ValueError, match="x1"):
        size("x1")
