"""Versions that a Python project's lock file pins, for pip, which does not read it.

Where the tool of the lock file is not installed, its versions of the test runner and the checkers
still count: the newest pytest may not run the tests, and another checker finds something else.
"""

import re
from collections.abc import Sequence

from pipeline.survey.checkout_files import CheckoutFiles, within

_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock")
_OF_PYTEST = re.compile(r"pytest(?:-[\w-]+)?")


def with_locked(
    repo: CheckoutFiles, folder: str, requirements: Sequence[str], declared: str
) -> list[str]:
    """Return requirements with the versions of the lock file, and pytest with its plugins.

    `declared` are the requirements, one per line, that are installed anyway: what it names is left
    out, unless the lock file says more of it. A version of its own stays.
    """
    locked = _versions(repo, folder)
    result = []
    for requirement in requirements:
        name = re.split("[<>=~!]", requirement)[0]
        if requirement == name and name in locked:
            result.append(f"{name}=={locked[name]}")
        elif not is_named(declared, name):
            result.append(requirement)
    there = "\n".join(result)
    return result + [
        f"{name}=={version}"
        for name, version in locked.items()
        if _OF_PYTEST.fullmatch(name) and is_named(declared, name) and not is_named(there, name)
    ]


def is_named(lines: str, package: str) -> bool:
    """Return whether one of the requirements, one per line, is for this package."""
    return bool(re.search(rf"^\W*{re.escape(package)}(?![\w.-])", lines, re.MULTILINE))


def _versions(repo: CheckoutFiles, folder: str) -> dict[str, str]:
    """Return the version of each package in the lock file.

    Of several, for different versions of Python, it is the last, which is for the newest.
    """
    at = next((one for one in (folder, "") if repo.has(one, *_LOCKS)), None)
    packages = repo.toml(within(at, repo.has(at, *_LOCKS))).get("package") if at is not None else ()
    return {
        str(one.get("name")): version
        for one in (packages if isinstance(packages, list) else ())
        if isinstance(one, dict) and isinstance(version := one.get("version"), str)
    }
