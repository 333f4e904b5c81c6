import unittest

import money


class DoubleTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.made = await money.make(2)

    async def test_double(self):
        self.assertEqual(self.made.double, 4)
