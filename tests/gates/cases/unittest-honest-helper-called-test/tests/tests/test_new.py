import unittest

from money import double


def test_data(name):
    return 2


class DoubleTest(unittest.TestCase):
    def test_double(self):
        self.assertEqual(double(test_data('x')), 4)
