"""Folders are removed whatever modes they were given, by somebody who is not root as well."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from pipeline.files.trees import remove

NOBODY = 65534


@pytest.fixture
def mine():
    """A folder of our own; where the tests run as root, permissions are those of somebody else
    meanwhile.
    """
    folder = Path(tempfile.mkdtemp(prefix="trees-"))
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    yield folder
    if is_root:
        os.seteuid(0)
    shutil.rmtree(folder)


def test_folders_that_were_locked_within_each_other_are_removed(mine):
    deep = mine / "a/b/c"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    (mine / "a/link").symlink_to(mine)
    for path, mode in ((deep, 0o000), (mine / "a/b", 0o000), (mine / "a", 0o500)):
        path.chmod(mode)
    remove(mine / "a")
    assert list(mine.iterdir()) == []


def test_a_link_is_removed_and_not_what_it_points_to(mine):
    (mine / "precious").mkdir()
    (mine / "link").symlink_to(mine / "precious")
    remove(mine / "link")
    assert [path.name for path in mine.iterdir()] == ["precious"]


def test_nothing_there_is_fine_and_a_file_goes(mine):
    (mine / "file").write_text("x")
    for path in ("file", "file", "file/below", "none/at/all"):
        remove(mine / path)
    assert list(mine.iterdir()) == []
