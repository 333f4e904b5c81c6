from app.money import double


class Contract:
    def test_double(self):
        assert double(self.amount) == 2 * self.amount


class TestTwo(Contract):
    amount = 2


class TestThree(Contract):
    amount = 3
