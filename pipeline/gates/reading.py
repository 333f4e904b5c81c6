"""What is read of a test function in the text of a file, in whichever language."""

from collections.abc import Callable

import msgspec

IsReported = Callable[[str], bool]
"""Tells whether a report has a test of this name, as the file's text calls it."""


class TestFunction(msgspec.Struct, frozen=True, kw_only=True):
    """A test in the text of a file.

    The same `body` means the same test. `asserts`: it compares something. `is_run`: a runner
    reports it under this name whenever its file can be loaded. `imports` are names that it uses and
    that the file only imports, `defines` those that the file itself makes.
    """

    name: str
    body: str
    asserts: bool = True
    is_run: bool = True
    imports: frozenset[str] = frozenset()
    defines: frozenset[str] = frozenset()
