from app.money import add


class TestAdd:
    def test_sum(self):
        assert add(1, 2) == 3
