"""A pytest plugin that the engine adds to every test run, for canaries, origins and reasons.

It imports only the standard library and pytest, because it runs in the tested project's own
environment: `pytest -p idea_to_pr_probe` with this folder on `PYTHONPATH`. It adds a test that must
fail to every folder of tests, so that a conftest.py that forges outcomes there forges that one too.
It stands beside the project's own tests and is named like one of them, so that it cannot be spared.
It records the file from which each watched module was imported and, for every failure, its cause (a
value of `FailureCause`), the missing name, and the files that the exception passed through.
"""

import json
import os
import re
import sys
import traceback
from pathlib import Path

import pytest

CANARY = os.environ.get("IDEA_TO_PR_CANARY", "")
OUT = os.environ.get("IDEA_TO_PR_PROBE", "")
WATCH = {name for name in os.environ.get("IDEA_TO_PR_WATCH", "").split(",") if name}

TRACE_MAX_FILES = 50
TEXT_MAX_CHARACTERS = 500

_failures = {}
_root = []
_KEYWORD = re.compile(r"unexpected keyword argument '([^']+)'|takes .* positional argument")
_IMPORTED = re.compile(r"cannot import name '([^']+)'")
_TIMEOUT = re.compile(r"Timeout \(?>[\d.]+s")
"""How pytest-timeout calls `pytest.fail`: version 2.4 with brackets, older ones without."""


class Canary(pytest.Item):
    """A test that must fail in every run."""

    def runtest(self):
        """Fail, always."""
        raise AssertionError("this test of the engine's own always fails")

    def reportinfo(self):
        """Return its location, for reports."""
        return self.path, None, self.name


def _fail():
    raise AssertionError("this test of the engine's own always fails")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session, items):
    """Add a canary to every folder of tests, including those that could not be collected."""
    if not CANARY:
        return
    models = {}
    for item in items:
        if _is_model(item):
            models.setdefault(item.path.parent, item)
    folders = {item.path.parent for item in items} - models.keys()
    folders |= {
        (session.config.rootpath / failure["file"]).parent
        for failure in _failures.values()
        if failure["file"]
    }
    for item in models.values():
        module, name = item.getparent(pytest.Module), f"{item.originalname}_{CANARY}"
        canary = pytest.Function.from_parent(module, name=name, callobj=_fail)
        items.insert(items.index(item) + 1, canary)
    if not models:
        folders = folders or {session.config.rootpath}
    for number, folder in enumerate(sorted(folders)):
        name = f"test_{CANARY}_{number}"
        items.append(
            Canary.from_parent(session, name=name, path=folder, nodeid=f"engine.py::{name}")
        )


def _is_model(item):
    """Return whether a canary can stand beside a test: nothing there keeps tests from running."""
    module = item.getparent(pytest.Module)
    if not isinstance(item, pytest.Function) or module is None or item.getparent(pytest.Class):
        return False
    return not hasattr(module.obj, "pytestmark")


def pytest_sessionstart(session):
    """Record the folder that paths in the names of tests are relative to."""
    _root.append(os.path.realpath(session.config.rootpath))


def pytest_exception_interact(node, call):
    """Record why a test or a file failed."""
    error = call.excinfo.value if call.excinfo is not None else None
    # pytest wraps an ImportError of a test file; the original says which name was missing.
    while isinstance(error, pytest.Collector.CollectError) and error.__cause__ is not None:
        error = error.__cause__
    if error is None:
        return
    cause, missing = _cause(error)
    file = node.nodeid.partition("::")[0]
    _failures[_key(node.nodeid)] = {
        "what": type(error).__name__,
        "text": str(error)[:TEXT_MAX_CHARACTERS],
        "cause": cause,
        "missing": missing,
        "trace": _trace(error),
        "file": file,
        "collecting": isinstance(node, pytest.Collector) and bool(file),
    }


def pytest_sessionfinish():
    """Write what was recorded."""
    if not OUT:
        return
    origins = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in WATCH and getattr(module, "__file__", None):
            origins[name] = os.path.realpath(module.__file__)
    # With pytest-xdist this runs in every worker process, so each writes a file of its own.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    path = Path(OUT + (f".{worker}" if worker else ""))
    path.write_text(
        json.dumps({"failures": _failures, "origins": origins, "root": _root[0] if _root else ""})
    )


def _key(nodeid):
    """Return a test's name as in the JUnit report: `tests.test_x.TestY::test_z[1]`."""
    path, bracket, parameters = nodeid.partition("[")
    names = path.split("::")
    names[0] = re.sub(r"\.py$", "", names[0].replace("/", "."))
    names[-1] += bracket + parameters
    return ".".join(names[:-1]) + "::" + names[-1]


def _cause(error):
    """Return the cause of a failure (None for any other exception), and the missing name.

    Only `AssertionError` itself is an assertion: projects derive exceptions of their own from it.
    """
    if isinstance(error, pytest.fail.Exception) and _TIMEOUT.match(str(error)):
        return "timed_out", None
    if type(error) in {AssertionError, pytest.fail.Exception}:
        return "assertion", None
    missing = _missing(error)
    return ("missing_name" if missing else None), missing


def _missing(error):
    """Return the missing name and its owner: a module, something in one, or a parameter."""
    owner, name = _owner_and_name(error)
    # PackageNotFoundError of importlib.metadata derives from it, but no module is missing then.
    is_module = type(error) is ModuleNotFoundError
    if not owner and not name:
        return None
    return {"owner": str(owner), "name": str(name), "is_module": is_module}


def _owner_and_name(error):
    """Return both, as far as the exception knows them; an unknown owner is empty."""
    if isinstance(error, ModuleNotFoundError):
        return error.name or "", ""
    if isinstance(error, ImportError):
        return error.name or "", _named(_IMPORTED, error)
    if isinstance(error, AttributeError):
        owner = getattr(error, "obj", None)
        if isinstance(owner, type(sys)):
            return owner.__name__, error.name or ""
        module = getattr(owner, "__module__", None) or getattr(type(owner), "__module__", "")
        return module, error.name or ""
    if isinstance(error, NameError):
        return _raised_in(error), error.name or ""
    if isinstance(error, TypeError) and _KEYWORD.search(str(error)):
        return "", _named(_KEYWORD, error)
    return "", ""


def _named(pattern, error):
    """Return the name in the message of an exception, or the whole message."""
    match = pattern.search(str(error))
    return (match and match.group(1)) or str(error)


def _frames(error):
    """List the frames that an exception passed through, the innermost first."""
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)][::-1]


def _raised_in(error):
    """Return the module whose code raised an exception."""
    frames = _frames(error)
    return frames[0].f_globals.get("__name__", "") if frames else ""


def _trace(error):
    """List the files that an exception passed through, the innermost first."""
    names = dict.fromkeys(frame.f_code.co_filename for frame in _frames(error))
    return [os.path.realpath(name) for name in list(names)[:TRACE_MAX_FILES]]
