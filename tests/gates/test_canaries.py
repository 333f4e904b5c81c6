"""The engine's own failing tests notice an assertion that was emptied, whichever it is."""

import runpy
import unittest
from pathlib import Path

import pytest

import pipeline.gates

ASSERTS = Path(pipeline.gates.__file__).parent / "probe" / "idea_to_pr_asserts.py"
NAMES = [
    "assertEqual", "assertNotEqual", "assertTrue", "assertFalse", "assertIs", "assertIsNone",
    "assertIn", "assertNotIn", "assertIsInstance", "assertGreater", "assertAlmostEqual",
    "assertRegex", "assertCountEqual", "assertRaises", "fail",
]  # fmt: skip


class Empty(unittest.TestCase):
    """A test case to take assertions from."""


@pytest.mark.parametrize("name", NAMES)
def test_it_fails_through_unittest_unless_an_assertion_is_empty(name, monkeypatch):
    fails = runpy.run_path(str(ASSERTS))["through_unittest"]
    with pytest.raises(AssertionError):
        fails(Empty("run"))
    monkeypatch.setattr(Empty, name, lambda *_, **__: None)
    assert fails(Empty("run")) is None


def test_each_of_pytests_own_assertions_fails_alone():
    for fails in runpy.run_path(str(ASSERTS))["through_pytest"](pytest):
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            fails()
