"""A pytest plugin that the engine adds to every test run: canary, origins, reasons.

It stands alone (stdlib and pytest) because it runs in the tested project's own environment: `pytest
-p idea_to_pr_probe` with this folder on `PYTHONPATH`. It adds a test that must fail to every folder
of tests, so that a conftest.py that forges outcomes there forges that one too; notes from which
file each watched module was imported; and notes for every failure what kind of exception it was,
and which name was missing.
"""

import json
import os
import re
import sys
from pathlib import Path

import pytest

CANARY = os.environ.get("IDEA_TO_PR_CANARY", "")
OUT = os.environ.get("IDEA_TO_PR_PROBE", "")
WATCH = {name for name in os.environ.get("IDEA_TO_PR_WATCH", "").split(",") if name}

_reasons = {}
_root = []
_KEYWORD = re.compile(r"unexpected keyword argument '([^']+)'|takes .* positional argument")


class Canary(pytest.Item):
    """A test that must fail in every run."""

    def runtest(self):
        """Fail, always."""
        raise AssertionError("this test of the engine's own always fails")

    def reportinfo(self):
        """Say where it stands, for reports."""
        return self.path, None, self.name


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session, items):
    """Add a canary behind the tests of every folder, also of those that could not be collected."""
    if not CANARY:
        return
    folders = {item.path.parent for item in items}
    folders |= {
        (session.config.rootpath / reason["file"]).parent
        for reason in _reasons.values()
        if reason["file"]
    }
    for number, folder in enumerate(sorted(folders or {session.config.rootpath})):
        name = f"test_{CANARY}_{number}"
        items.append(
            Canary.from_parent(session, name=name, path=folder, nodeid=f"engine.py::{name}")
        )


def pytest_sessionstart(session):
    """Note what the paths in names of tests are relative to."""
    _root.append(os.path.realpath(session.config.rootpath))


def pytest_exception_interact(node, call):
    """Note why a test or a file failed."""
    error = call.excinfo.value if call.excinfo is not None else None
    cause = error
    while isinstance(cause, pytest.Collector.CollectError) and cause.__cause__ is not None:
        cause = cause.__cause__
    if cause is not None:
        _reasons[_key(node.nodeid)] = {
            "type": type(cause).__name__,
            "text": str(cause)[:500],
            "missing": _missing(cause),
            "file": node.nodeid.partition("::")[0],
        }


def pytest_sessionfinish():
    """Write what was seen."""
    if not OUT:
        return
    origins = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in WATCH and getattr(module, "__file__", None):
            origins[name] = os.path.realpath(module.__file__)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    path = Path(OUT + (f".{worker}" if worker else ""))
    path.write_text(
        json.dumps({"reasons": _reasons, "origins": origins, "root": _root[0] if _root else ""})
    )


def _key(nodeid):
    """Name a test as its JUnit line does: `tests.test_x.TestY::test_z[1]`."""
    path, bracket, parameters = nodeid.partition("[")
    names = path.split("::")
    names[0] = re.sub(r"\.py$", "", names[0].replace("/", "."))
    names[-1] += bracket + parameters
    return ".".join(names[:-1]) + "::" + names[-1]


def _missing(error):
    """Return `[owner, name]` when a name was missing: a module, something in one, a parameter."""
    if isinstance(error, ModuleNotFoundError):
        return [error.name or "", ""]
    if isinstance(error, ImportError):
        return [error.name or "", str(error)]
    if isinstance(error, AttributeError):
        owner = getattr(error, "obj", None)
        module = getattr(owner, "__module__", None) or getattr(type(owner), "__module__", "")
        return [owner.__name__ if isinstance(owner, type(sys)) else module, error.name or ""]
    if isinstance(error, NameError):
        return [_raised_in(error), error.name or ""]
    if isinstance(error, TypeError) and _KEYWORD.search(str(error)):
        return ["", str(error)]
    return None


def _raised_in(error):
    """Name the module whose code raised an exception."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
