import unittest

import nothere


class DoubleTest(unittest.TestCase):
    def test_double(self):
        self.assertEqual(nothere.double(2), 4)
