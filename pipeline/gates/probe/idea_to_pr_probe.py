"""A pytest plugin that the engine adds to every test run, for canaries, origins and reasons.

It imports only the standard library and pytest, because it runs in the tested project's own
environment: `pytest -p idea_to_pr_probe` with this folder on `PYTHONPATH`. It adds a test that must
fail to every folder of tests, so that a conftest.py that forges outcomes there forges that one too.
It stands beside the project's own tests and is named like one of them, so that it cannot be spared.
It records the file from which each watched module was imported and, for every failure, its cause (a
value of `FailureCause`), the missing name, and the files that the exception passed through.
"""

import os
import re

import pytest
from idea_to_pr_asserts import through_pytest
from idea_to_pr_causes import CANARY, fail, recorded, write

_failures = {}
_root = []
_TIMEOUT = re.compile(r"Timeout \(?>[\d.]+s")
"""How pytest-timeout calls `pytest.fail`: version 2.4 with brackets, older ones without."""


class Canary(pytest.Item):
    """A test that must fail in every run."""

    callobj = staticmethod(fail)

    def runtest(self):
        """Fail, always."""
        self.callobj()

    def reportinfo(self):
        """Return its location, for reports."""
        return self.path, None, self.name


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
        canaries = [
            pytest.Function.from_parent(module, name=f"{name}_{number}", callobj=callobj)
            for number, callobj in enumerate((fail, *through_pytest(pytest)))
        ]
        at = items.index(item) + 1
        items[at:at] = canaries
    if not models:
        folders = folders or {session.config.rootpath}
    for number, folder in enumerate(sorted(folders)):
        name = f"test_{CANARY}_{number}"
        for more, callobj in enumerate((fail, *through_pytest(pytest))):
            nodeid = f"engine.py::{name}_{more}"
            canary = Canary.from_parent(session, name=name, path=folder, nodeid=nodeid)
            canary.callobj = callobj
            items.append(canary)


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
    file = node.nodeid.partition("::")[0]
    collecting = isinstance(node, pytest.Collector) and bool(file)
    assertions = {AssertionError, pytest.fail.Exception}
    failure = recorded(error, assertions, file, collecting=collecting)
    if isinstance(error, pytest.fail.Exception) and _TIMEOUT.match(str(error)):
        failure["cause"] = "timed_out"
    _failures[_key(node.nodeid)] = failure


def pytest_sessionfinish():
    """Write what was recorded."""
    # With pytest-xdist this runs in every worker process, so each writes a file of its own.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    root = _root[0] if _root else ""
    write(f".{worker}" if worker else "", failures=_failures, root=root)


def _key(nodeid):
    """Return a test's name as in the JUnit report: `tests.test_x.TestY::test_z[1]`."""
    path, bracket, parameters = nodeid.partition("[")
    names = path.split("::")
    names[0] = re.sub(r"\.py$", "", names[0].replace("/", "."))
    names[-1] += bracket + parameters
    return ".".join(names[:-1]) + "::" + names[-1]
