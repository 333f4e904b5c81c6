"""How the engine's own tests fail through the assertions of unittest and pytest.

Source that empties an assertion (`TestCase.assertEqual = lambda *_: None`) makes the tests pass,
and would not touch a test that fails by an exception of its own. So these try every usual assertion
with something wrong: if one of them holds nothing, they pass, and the report is not believed. It
imports only the standard library.
"""

import unittest

_UNITTEST = (
    lambda test: test.fail("always"),
    lambda test: test.assertEqual([0], [1]),
    lambda test: test.assertNotEqual(0, 0),
    lambda test: test.assertTrue(False),
    lambda test: test.assertFalse(True),
    lambda test: test.assertIs(0, 1),
    lambda test: test.assertIsNone(0),
    lambda test: test.assertIsNotNone(None),
    lambda test: test.assertIn(0, ()),
    lambda test: test.assertNotIn(0, (0,)),
    lambda test: test.assertIsInstance(0, str),
    lambda test: test.assertGreater(0, 1),
    lambda test: test.assertLess(1, 0),
    lambda test: test.assertAlmostEqual(0, 1),
    lambda test: test.assertRegex("a", "b"),
    lambda test: test.assertCountEqual([0], [1]),
    lambda test: test.assertListEqual([0], [1]),
    lambda test: test.assertDictEqual({0: 0}, {0: 1}),
    lambda test: test.assertMultiLineEqual("a", "b"),
    lambda test: test.assertRaises(ValueError, int),
)


def through_unittest(test):
    """Fail through `assertEqual` of a unittest.TestCase, unless one of its assertions is empty."""
    for check in _UNITTEST:
        try:
            check(test)
        except AssertionError:
            continue
        return
    test.assertEqual(0, 1)


def alone_through_unittest():
    """Fail like a unittest.TestCase below pytest."""
    through_unittest(unittest.TestCase("run"))


def through_pytest(pytest):
    """Return functions that fail through pytest's own assertions: `raises`, `approx`, `fail`."""

    def raises():
        with pytest.raises(ValueError, match="never"):
            pass

    def approx():
        if pytest.approx(1) != 0 and pytest.approx([1.0]) != [0.0]:
            pytest.fail("this test of the engine's own always fails")

    def warns():
        with pytest.warns(UserWarning):
            pass

    return (raises, approx, warns, alone_through_unittest)
