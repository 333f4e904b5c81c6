import unittest

import money


class DoubleTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if hasattr(money, "double"):
            raise unittest.SkipTest("why not")

    def test_double(self):
        self.assertEqual(money.double(2), 4)
