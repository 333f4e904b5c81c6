from money import add


class Contract:
    def test_zero(self):
        self.assertEqual(add(0, 0), 0)
