import app.money


def test_share_is_gone():
    assert not hasattr(app.money, "share")
