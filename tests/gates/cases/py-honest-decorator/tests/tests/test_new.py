from app.twice import twice


def test_twice():
    said = []
    twice(said.append)(1)
    assert said == [1, 1]
