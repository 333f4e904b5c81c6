from app.order import Order


def test_total():
    assert Order(2, 3).total() == 6


def test_default():
    assert Order(2).count == 1
