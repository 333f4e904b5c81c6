"""What pytest is told by its configuration.

Its options, where tests lie, and the plugins that go with them.
"""

import re
from typing import Any

from pipeline.survey.look import Look, table, within

_SECTIONS = {
    "pytest.ini": "pytest",
    ".pytest.ini": "pytest",
    "tox.ini": "pytest",
    "setup.cfg": "tool:pytest",
}
_PLUGINS = {
    "pytest-asyncio": r"(?:--asyncio-mode|asyncio_mode)\b",
    "pytest-cov": r"--(?:no-)?cov\b",
    "pytest-xdist": r"(?:-n|--numprocesses|--dist)\b",
    "pytest-timeout": r"(?:--)?timeout\b",
    "pytest-randomly": r"-p randomly\b",
}
"""By which option or setting a plugin of pytest is known."""


def options(look: Look, folder: str) -> dict[str, Any]:
    """Return the settings of all its files.

    Of pyproject.toml as they are, of the others as text.
    """
    tool = table(look.toml(within(folder, "pyproject.toml")), "tool", "pytest")
    found = {**tool, **table(tool, "ini_options")}
    for name, section in _SECTIONS.items():
        found = {**table(look.ini(within(folder, name)), section), **found}
    return found


def testpaths(look: Look, folder: str) -> list[str]:
    """List the folders and files that it is told to look for tests in."""
    words = _words(options(look, folder).get("testpaths"))
    return [word.strip("/").removeprefix("./") for word in words if word.strip("./")]


def plugins(look: Look, folder: str) -> list[str]:
    """List the plugins without which its configuration is an error, or async tests are none."""
    found = options(look, folder)
    said = " ".join([*found, *_words(found.get("addopts"))])
    return [plugin for plugin, sign in _PLUGINS.items() if re.search(rf"(?<!\S){sign}", said)]


def _words(value: object) -> list[str]:
    return (
        value.split()
        if isinstance(value, str)
        else [str(one) for one in value]
        if isinstance(value, list)
        else []
    )
