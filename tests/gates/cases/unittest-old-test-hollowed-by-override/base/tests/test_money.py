import unittest

from tests.contract import Contract


class AddTest(Contract, unittest.TestCase):
    def test_add(self):
        from money import add
        self.assertEqual(add(1, 2), 3)
