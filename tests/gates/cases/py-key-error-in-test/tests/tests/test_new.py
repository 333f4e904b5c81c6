from app.info import info


def test_version():
    assert info()["version"] == "1"
