import unittest

import money


class DoubleTest(unittest.TestCase):
    def test_double(self):
        self.assertTrue(callable(money.double))
