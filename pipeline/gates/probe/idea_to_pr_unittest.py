"""Runs a command of unittest's or Django's, and records the outcome of every test.

`python -m unittest ...` becomes `python idea_to_pr_unittest.py -m unittest ...`, and likewise with
`manage.py test`. It imports only the standard library, because it runs in the tested project's own
environment. Outcomes are taken where a suite hands them to its result, whichever class that is. To
each module with tests it adds a test that must fail, beside the module's own and named like them.
"""

import inspect
import os
import runpy
import sys
import traceback
import unittest

from idea_to_pr_asserts import through_unittest
from idea_to_pr_causes import CANARY, fail, frames_of, recorded, write

ONLY = {name for name in os.environ.get("IDEA_TO_PR_ONLY", "").split(os.pathsep) if name}
TEXT_MAX_CHARACTERS = 8000

_ENDS = (".py", "/__init__.py")
_SEVERITY = ("passed", "skipped", "failed", "error")
_tests = {}
_failures = {}
_known = {}
_parts = set()  # tests of which a subtest has passed
_unloaded = {}
_main = os.getpid()


def _name(test):
    """Return a test's name, of a subtest that of its test: `tests.test_x.TestY::test_z`."""
    if _is_unloaded(test):
        return f"{test._testMethodName}::"
    owner, _, own = getattr(test, "test_case", test).id().rpartition(".")
    return f"{owner}::{own}"


def _file(test):
    test = getattr(test, "test_case", test)
    if _is_unloaded(test):
        return _unloaded.get(test._testMethodName, {}).get("file", "")
    if hasattr(test, "_dt_test"):
        return os.path.abspath(test._dt_test.filename or "")
    try:
        return os.path.realpath(inspect.getfile(type(test)))
    except (OSError, TypeError):
        return ""


def _leaves(suite):
    for one in suite:
        if isinstance(one, unittest.BaseTestSuite):
            yield from _leaves(one)
        else:
            yield one


def _record(test, outcome, error=None, message=""):
    """Record an outcome; that of a fixture of a class or module is that of each of its tests."""
    is_fixture = isinstance(test, unittest.suite._ErrorHolder)
    name, file = _name(test), _file(test)
    if is_fixture:
        what, _, owner = test.description.rstrip(")").partition(" (")
        below = [one for one in _known.values() if one.id().startswith(f"{owner}.")]
        if what.startswith("setUp"):
            for one in below:
                # The engine's own is not spared by a skip: it is not reported at all then.
                if outcome != "skipped" or CANARY not in one.id():
                    _set(one, _name(one), _file(one), outcome, error, message)
            return
        name, file = f"{owner}::{what}", _file(below[0]) if below else ""
    # As for pytest, an error is what fails before the test itself.
    in_setup = error and any(one.f_code.co_name == "_callSetUp" for one in frames_of(error))
    is_failure = outcome == "error" and not (in_setup or is_fixture)
    _set(test, name, file, "failed" if is_failure else outcome, error, message)


def _set(test, name, file, outcome, error, message):
    """Record the outcome of a test, unless a worse one of it is known."""
    before = _tests.get(name)
    if before and _SEVERITY.index(before["outcome"]) >= _SEVERITY.index(outcome):
        return
    _tests[name] = {"outcome": outcome, "message": message, "text": "", "file": file}
    if error is None:
        return
    _tests[name].update(message=f"{type(error).__name__}: {error}", text=_text(error))
    assertions = {AssertionError, getattr(test, "failureException", AssertionError)}
    unloaded = _unloaded.get(name.partition("::")[0]) if _is_unloaded(test) else None
    _failures[name] = unloaded or recorded(error, assertions, file)


def _is_unloaded(test):
    return isinstance(test, unittest.loader._FailedTest)


def _text(error):
    """Return the trace without unittest's own frames, and the message."""
    frames = [
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if "__unittest" not in frame.f_globals
    ]
    lines = traceback.StackSummary.extract(frames).format()
    lines += traceback.format_exception_only(type(error), error)
    return "".join(lines)[-TEXT_MAX_CHARACTERS:]


def _listen(result):
    """Record what a result is told, whatever its class makes of it."""
    result.failfast = False

    def wrap(name, record):
        told = getattr(result, name)

        def heard(test, *args, **kwargs):
            record(test, *args)
            return told(test, *args, **kwargs)

        setattr(result, name, heard)

    def on_subtest(test, _, error=None):
        if error is not None:
            _record(test, "failed", error[1])
        elif _tests.get(_name(test), {}).get("is_part"):
            _tests[_name(test)]["outcome"] = "passed"
        else:
            _parts.add(_name(test))

    def on_skip(test, reason):
        """Record a skip; one subtest that skips does not undo the others that pass."""
        name = _name(test)
        if not hasattr(test, "test_case"):
            _record(test, "skipped", None, str(reason))
        elif name not in _tests:
            _record(test, "passed" if name in _parts else "skipped", None, str(reason))
            _tests[name]["is_part"] = True

    wrap("addSuccess", lambda test: _record(test, "passed"))
    wrap("addFailure", lambda test, error: _record(test, "failed", error[1]))
    wrap("addError", lambda test, error: _record(test, "error", error[1]))
    wrap("addSkip", on_skip)
    wrap("addExpectedFailure", lambda test, _: _record(test, "skipped", None, "expected failure"))
    wrap("addUnexpectedSuccess", lambda test: _record(test, "failed", None, "unexpected success"))
    wrap("addSubTest", on_subtest)


def _limit(suite):
    """Keep only the tests of the wanted files."""
    parts = "subsuites" if hasattr(suite, "subsuites") else "_tests"
    kept = []
    for one in getattr(suite, parts):
        if isinstance(one, unittest.BaseTestSuite):
            _limit(one)
            if one.countTestCases():
                kept.append(one)
        elif _file(one) in ONLY:
            kept.append(one)
    setattr(suite, parts, kept)


def _canary(model, number):
    """Return the engine's own tests, made after one of the project's.

    One fails by itself, one through unittest's assertions: neither may be emptied.
    """
    kind = type(model)
    name, method = f"{kind.__name__}{CANARY.title()}", f"{model._testMethodName}_{CANARY}_{number}"
    members = {
        method: lambda _: fail(),
        f"{method}_too": through_unittest,
        "__module__": kind.__module__,
    }
    made = type(name, (unittest.TestCase,), members)
    return made(method), made(f"{method}_too")


def _add_canaries(suite, modules):
    """Add one to each module, after the tests of its first class."""
    added = []
    for one in getattr(suite, "_tests", ()):
        if isinstance(one, unittest.BaseTestSuite):
            _add_canaries(one, modules)
        elif type(one).__module__ not in modules and not _is_unloaded(one):
            modules.add(type(one).__module__)
            added.extend(_canary(one, len(modules)))
    for one in added:
        suite.addTest(one)


def _prepare(suite):
    """Limit a suite to the wanted files, and add the engine's own tests."""
    if ONLY:
        _limit(suite)
    if CANARY:
        _add_canaries(suite, set())
        last = type("Last", (unittest.TestCase,), {"test": fail})("test")
        suite.addTests(_canary(last, 0))
    _known.update((_name(one), one) for one in _leaves(suite))


def _run_tests(original):
    """Return `TextTestRunner.run` with one suite around Django's own.

    Its parallel suite hands its parts to other processes, and tells the result itself.
    """

    def run(runner, suite):
        whole = unittest.TestSuite([suite]) if hasattr(suite, "subsuites") else suite
        return original(runner, whole)

    return run


def _run_suite(original):
    """Return `TestSuite.run` with a record of the first suite, which is the whole run.

    Tests that run suites themselves come later. It is written at once: what the tested code does at
    its process's end cannot keep it from being read.
    """

    def run(suite, result, *more):
        if _known or os.getpid() != _main:
            return original(suite, result, *more)
        _prepare(suite)
        _listen(result)
        ended = original(suite, result, *more)
        write(tests=_tests, failures=_failures)
        return ended

    return run


def _unloaded_test(original):
    """Return unittest's function for a file that cannot be loaded, with a record of the reason."""

    def make(name, *more):
        # For a test that the command names, unittest hands on the last part of its module's name.
        whole = inspect.currentframe().f_back.f_locals.get("module_name") or ""
        name = whole if whole.endswith(f".{name}") else name
        inside = name.replace(".", os.sep)
        places = [os.path.join(top, inside + end) for top in sys.path for end in _ENDS]
        file = next((os.path.realpath(place) for place in places if os.path.isfile(place)), "")
        error = sys.exc_info()[1]
        if error is not None:
            _unloaded[name] = recorded(error, {AssertionError}, file, collecting=True)
        return original(name, *more)

    return make


def _patch():
    unittest.TextTestRunner.run = _run_tests(unittest.TextTestRunner.run)
    unittest.TestSuite.run = _run_suite(unittest.TestSuite.run)
    make = unittest.loader._make_failed_import_test
    unittest.loader._make_failed_import_test = _unloaded_test(make)


def main():
    """Run the command that stands in the arguments."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != here]
    sys.argv = sys.argv[1:]
    _patch()
    if sys.argv[0] == "-m":
        del sys.argv[0]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
        runpy.run_path(sys.argv[0], run_name="__main__")


main()
