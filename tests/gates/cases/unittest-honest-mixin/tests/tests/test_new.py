import unittest

from money import double


class Contract:
    def test_double(self):
        self.assertEqual(double(self.amount), 2 * self.amount)


class TwoTest(Contract, unittest.TestCase):
    amount = 2
