"""Which lines of source reach into the tests, and which only look like it."""

import pytest

from pipeline.gates.observers import ObserverKind, brought_in, without_hunks


@pytest.mark.parametrize(
    ("path", "line", "kind"),
    [
        ("a.py", "import unittest", ObserverKind.REACHES),
        ("a.py", "from unittest import mock", ObserverKind.REACHES),
        ("a.py", "import os, unittest.case as case", ObserverKind.REACHES),
        ("a.py", "x = 1; import _pytest.runner", ObserverKind.REACHES),
        ("a.py", "tested = sys.modules['pytest']", ObserverKind.REACHES),
        ("a.py", 'r = sys.modules.get("_pytest.runner")', ObserverKind.REACHES),
        ("a.py", "importlib.import_module('unittest.case')", ObserverKind.REACHES),
        ("a.py", "if 'pytest' in sys.modules:", ObserverKind.ASKS),
        ("a.js", "global.expect = () => ({ toBe() {} });", ObserverKind.REACHES),
        ("a.js", "globalThis['expect'] = other;", ObserverKind.REACHES),
        ("a.js", "expect.extend({ toBe });", ObserverKind.REACHES),
        ("a.js", "assert.equal = () => {};", ObserverKind.REACHES),
        ("a.js", "assert['equal'] = () => {};", ObserverKind.REACHES),
        ("a.js", "Object.assign(assert, { equal() {} });", ObserverKind.REACHES),
        ("a.js", "import { expect } from 'vitest';", ObserverKind.REACHES),
        ("a.rs", "macro_rules! assert_eq {", ObserverKind.REACHES),
        ("a.py", "# ruff: noqa", ObserverKind.SILENCES),
        ("a.py", "# mypy: ignore-errors", ObserverKind.SILENCES),
        ("a.js", "/* eslint-disable */", ObserverKind.SILENCES),
        ("a.js", "/* eslint-disable no-console */", ObserverKind.SILENCES),
        ("a.rs", "#![allow(dead_code)]", ObserverKind.SILENCES),
        ("a.go", "//nolint\npackage a", ObserverKind.SILENCES),
        ("src/__mocks__/fs.js", "x", ObserverKind.RUNS),
        ("shop/management/commands/test.py", "x", ObserverKind.RUNS),
    ],
)
def test_an_added_line_that_reaches_into_the_tests_is_found(path, line, kind):
    assert [one.kind for one in brought_in(path, "", line)] == [kind]
    assert list(brought_in(path, line, line)) == [] or kind is ObserverKind.RUNS


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.py", "import unittestish"),
        ("docs/a.md", "import unittest"),
        ("a.py", "x = 1  # noqa: E501"),
        ("a.js", "import assert from 'node:assert';"),
        ("a.js", "assert.equal(a, b);"),
        ("a.js", "if (assert.equal === other) run();"),
        ("a.js", "// eslint-disable-next-line no-console"),
        ("a.rs", "#[allow(dead_code)]"),
        ("a.rs", "macro_rules! square {"),
        ("a.go", "package a\n\n//nolint:funlen\nfunc A() {}"),
        ("shop/management/commands/tests_of_stock.py", "x"),
    ],
)
def test_a_line_that_only_looks_like_it_is_not(path, line):
    assert list(brought_in(path, "", line)) == []


def test_only_the_hunks_with_such_lines_are_taken_away():
    before, after = "a\nb\nc\n", "a\nnew\nb\nasks\nc\n"
    assert without_hunks(before, after, {4}) == "a\nnew\nb\nc\n"
