import unittest

import money


class DoubleTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        open("/nowhere/at/all")

    def test_double(self):
        self.assertEqual(money.double(2), 4)
