import unittest

from money import double


class DoubleTest(unittest.TestCase):
    def test_double(self):
        self.assertTrue(callable(double))
