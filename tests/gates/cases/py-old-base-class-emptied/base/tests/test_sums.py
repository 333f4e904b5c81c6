from app.money import add
from bases import Sums


class TestSums(Sums):
    def test_sum(self):
        self.check(add(1, 2), 3)
