"""Read pytest's configuration: its options, the places of tests, and the plugins it needs."""

import re
from typing import Any

from pipeline.survey.checkout_files import CheckoutFiles, table, within

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
"""The options and settings that exist only with a plugin of pytest."""


def options(repo: CheckoutFiles, folder: str) -> dict[str, Any]:
    """Return the settings from all of pytest's configuration files.

    Those of pyproject.toml keep their type, those of the others are text.
    """
    tool = table(repo.toml(within(folder, "pyproject.toml")), "tool", "pytest")
    settings = {**tool, **table(tool, "ini_options")}
    for name, section in _SECTIONS.items():
        settings = {**table(repo.ini(within(folder, name)), section), **settings}
    return settings


def testpaths(repo: CheckoutFiles, folder: str) -> list[str]:
    """Return the folders and files in which pytest is configured to look for tests."""
    words = _words(options(repo, folder).get("testpaths"))
    return [word.strip("/").removeprefix("./") for word in words if word.strip("./")]


def plugins(repo: CheckoutFiles, folder: str) -> list[str]:
    """Return the plugins that pytest's configuration needs.

    Without them pytest reports unknown options, or does not run async tests.
    """
    settings = options(repo, folder)
    text = " ".join([*settings, *_words(settings.get("addopts"))])
    return [plugin for plugin, sign in _PLUGINS.items() if re.search(rf"(?<!\S){sign}", text)]


def _words(value: object) -> list[str]:
    return (
        value.split()
        if isinstance(value, str)
        else [str(one) for one in value]
        if isinstance(value, list)
        else []
    )
