import app.money


def test_it():
    if not hasattr(app.money, "double"):
        raise RuntimeError("there is no double")
    assert app.money.double(2) == 4
