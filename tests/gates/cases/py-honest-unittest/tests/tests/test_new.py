import unittest

from app import money


class TestDouble(unittest.TestCase):
    def test_double(self):
        self.assertEqual(money.double(2), 4)
