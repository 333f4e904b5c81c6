from app.hold import held


def test_held():
    said = []
    with held(said):
        assert said == ["in"]
    assert said == ["in", "out"]
