import unittest

import money


class DoubleTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.numbers = [(1, 2), (2, 4)]

    def test_double(self):
        for number, twice in self.numbers:
            with self.subTest(number=number):
                self.assertEqual(money.double(number), twice)
