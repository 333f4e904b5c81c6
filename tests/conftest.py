"""What all tests share: a clean environment, and a project to run the real commands on."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers.project import PYTEST, Project

settings.register_profile(
    "default", deadline=None, derandomize=True, print_blob=True, database=None
)
settings.load_profile("default")

_KEPT = {"PIPELINE_TEST_CLIS", "PIPELINE_PORTABLE"}


@pytest.fixture(autouse=True, scope="session")
def _clean_environment() -> Iterator[None]:
    """Take away whatever could steer git or the pipeline from outside; `PIPELINE_PORTABLE` runs
    tests portably.
    """
    for name in list(os.environ):
        if name.startswith(("GIT_", "AGENT_", "PIPELINE_")) and name not in _KEPT:
            del os.environ[name]
    yield


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A repository with a remote, and agents that play the demo's takes as real commands."""
    return Project(tmp_path / "p")


@pytest.fixture
def project_with_pytest(tmp_path: Path) -> Project:
    """The same with pytest itself, for journeys about tests."""
    return Project(tmp_path / "p", test=PYTEST)
