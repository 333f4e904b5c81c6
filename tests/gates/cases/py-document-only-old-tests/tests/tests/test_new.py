from app.money import add


def test_text():
    assert add("1", 2) == 3
