"""What counts of an attempt's outputs."""

import os

import pytest

from pipeline.files.rundir import copy_outputs, list_outputs

HUGE = 16 * 1024 * 1024 + 1


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    (folder / "deep/er").mkdir(parents=True)
    (folder / "plan.md").write_text("plan")
    (folder / "deep/er/more.json").write_text("{}")
    return folder


def test_files_are_copied_with_their_folders_and_replace_what_was_there(out, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    (one / "plan.md").write_text("an older one")
    assert copy_outputs(out, one, two) == ["deep/er/more.json", "plan.md"]
    assert [(folder / "plan.md").read_text() for folder in (one, two)] == ["plan", "plan"]
    assert (two / "deep/er/more.json").read_text() == "{}"


def test_links_pipes_and_huge_files_do_not_count(out, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("key")
    (out / "link.md").symlink_to(tmp_path / "secret/key")
    (out / "folder").symlink_to(tmp_path / "secret")
    os.mkfifo(out / "pipe")
    with (out / "huge").open("wb") as file:
        file.truncate(HUGE)
    assert list_outputs(out) == ["deep/er/more.json", "plan.md"]


def test_a_folder_that_was_replaced_by_a_link_has_no_outputs(out, tmp_path):
    out.rename(tmp_path / "elsewhere")
    assert list_outputs(out) == []
    out.symlink_to(tmp_path / "elsewhere")
    assert list_outputs(out) == []
