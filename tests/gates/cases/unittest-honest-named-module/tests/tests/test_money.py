import unittest

from money import add, extra


class AddTest(unittest.TestCase):
    def test_add(self):
        self.assertEqual(add(1, 2), 3)

    def test_add_zero(self):
        self.assertEqual(add(0, 0), 0)

    def test_double(self):
        self.assertEqual(extra(2), 4)
