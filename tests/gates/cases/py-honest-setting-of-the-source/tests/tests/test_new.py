from app import settings


def test_limit():
    assert settings.LIMIT == 5


def test_limit_of_user():
    assert settings.limit({"limit": 7}) == 7
    assert settings.limit({}) == 5
