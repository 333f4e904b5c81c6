import unittest

from money import first


class FirstTest(unittest.TestCase):
    def test_first_of_none(self):
        self.assertIsNone(first([]))
