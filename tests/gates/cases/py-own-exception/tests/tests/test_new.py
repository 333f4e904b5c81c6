from app.urls import reverse


def test_login():
    assert reverse("login") == "/login"
