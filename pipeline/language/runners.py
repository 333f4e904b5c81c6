"""Detect which test runner a command line starts, so that a flow file need not name it."""

import shlex
from collections.abc import Sequence
from itertools import pairwise

from pipeline.language.target import Report, Runner, TestCommand

PLACE = "{report}"
"""The placeholder for the file name, in a command that writes JUnit itself."""


def runner_of(test: TestCommand) -> Runner | None:
    """Return the runner of a test command.

    None when the command line does not show it, or only its exit status counts.
    """
    if test.report is Report.EXIT_CODE:
        return None
    if test.runner is not None:
        return test.runner
    if PLACE in test.command:
        return Runner.JUNIT
    names = [word.rpartition("/")[2] for word in words_of(test.command)]
    for one in (Runner.PYTEST, Runner.VITEST, Runner.JEST):
        if one.value in names or (one is Runner.PYTEST and "py.test" in names):
            return one
    if index_of_unittest(names) is not None:
        return Runner.UNITTEST
    pairs = set(pairwise(names))
    if ("go", "test") in pairs:
        return Runner.GO
    if ("cargo", "test") in pairs:
        return Runner.CARGO
    return Runner.NODE if "node" in names and "--test" in names else None


def index_of_unittest(words: Sequence[str]) -> int | None:
    """Return where Python's own arguments begin that start unittest or Django's test runner.

    That is the index of `-m` or of `manage.py`; None if the command line starts neither.
    """
    for index, (word, after) in enumerate(pairwise(words)):
        more = words[index + 2 : index + 3]
        if word == "-m" and (after == "unittest" or (after, *more) == ("django", "test")):
            return index
        if word.rpartition("/")[2] == "manage.py" and after == "test":
            return index
    return None


def words_of(command: str) -> list[str]:
    """Split a command line as a shell would; with an unclosed quote it stays one word."""
    try:
        return shlex.split(command)
    except ValueError:
        return [command]
