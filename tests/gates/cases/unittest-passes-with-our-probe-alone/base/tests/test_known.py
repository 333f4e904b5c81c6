import unittest

from money import add


class KnownTest(unittest.TestCase):
    def test_known(self):
        self.assertEqual(add(1, 1), 3)
