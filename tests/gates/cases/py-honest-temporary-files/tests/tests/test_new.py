from app.store import save


def test_save(tmp_path):
    save(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"
