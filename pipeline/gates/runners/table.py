"""The table of test runners: the module of each, imported on first use."""

from importlib import import_module
from typing import cast

from pipeline.gates.runners.base import TestRunner
from pipeline.language.runners import runner_of
from pipeline.language.target import Runner, TestCommand

TABLE = {
    Runner.PYTEST: "pipeline.gates.runners.python",
    Runner.UNITTEST: "pipeline.gates.runners.unittests",
    Runner.VITEST: "pipeline.gates.runners.javascript",
    Runner.JEST: "pipeline.gates.runners.javascript",
    Runner.NODE: "pipeline.gates.runners.javascript",
    Runner.GO: "pipeline.gates.runners.go",
    Runner.CARGO: "pipeline.gates.runners.cargo",
    Runner.JUNIT: "pipeline.gates.runners.junit",
}
_WEAK = "pipeline.gates.runners.status"


def load(test: TestCommand) -> TestRunner:
    """Return the module of a test command's runner; without one only the exit status counts."""
    runner = runner_of(test)
    return cast("TestRunner", import_module(TABLE[runner] if runner is not None else _WEAK))
