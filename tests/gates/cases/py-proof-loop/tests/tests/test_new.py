from app.money import count


def test_count():
    assert count(3) == 3
