"""What an agent can do to its workspace harms nobody else, and does not outlive the stage."""

import os
import sys

import pytest

from pipeline.files.trees import remove
from pipeline.repo.links import IncludedFiles
from tests.helpers.checkouts import Checkout, sh

DEEP = (
    "import os, sys\nfor _ in range(int(sys.argv[1])):\n    os.mkdir(sys.argv[2]); "
    "os.chdir(sys.argv[2])\n"
)


def link_to(workspace, name, target):
    remove(workspace.folder / name)
    (workspace.folder / name).symlink_to(target)


def test_a_file_of_the_person_is_not_taken_away_through_a_link(tmp_path):
    files = {
        "src/a.py": "one\n",
        "config/base.yml": "1\n",
        ".gitignore": "*.yml\n",
        ".worktreeinclude": "*.local.yml\n",
    }
    checkout = Checkout(tmp_path, files)
    mine = checkout.root / "config/x.local.yml"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("the only copy\n")
    workspace = checkout.workspace(included=IncludedFiles(checkout.user.git, checkout.root))
    workspace.prepare(checkout.head, checkout.tree)
    assert (workspace.folder / "config/x.local.yml").exists()
    link_to(workspace, "config", checkout.root / "config")
    workspace.prepare(checkout.head, checkout.tree, reads=("src/**",))
    assert mine.read_text() == "the only copy\n"
    assert not (workspace.folder / "config").is_symlink()


def test_a_product_of_the_person_is_not_taken_away_through_a_link(tmp_path):
    checkout = Checkout(
        tmp_path, {"pkg/a.py": "one\n", ".gitignore": "node_modules/\n", "package.json": "{}"}
    )
    mine = checkout.root / "pkg/node_modules/x.js"
    mine.parent.mkdir()
    mine.write_text("mine\n")
    install = "mkdir -p pkg/node_modules; echo {} > pkg/node_modules/x.js"
    workspace = checkout.workspace(set_up=checkout.setups(install.format(1)).require)
    workspace.prepare(checkout.head, checkout.tree)
    link_to(workspace, "pkg", checkout.root / "pkg")
    other = checkout.workspace(set_up=checkout.setups(install.format(2)).require)
    other.prepare(checkout.head, checkout.tree)
    assert mine.read_text() == "mine\n"
    assert (other.folder / "pkg/node_modules/x.js").read_text() == "2\n"


def test_a_folder_replaced_by_a_link_inside_the_tree_is_a_change(tmp_path):
    checkout = Checkout(tmp_path, {"docs/old/b.md": "two\n", "docs/new/b.md": "two\n"})
    workspace = checkout.workspace()
    workspace.prepare(checkout.head, checkout.tree)
    link_to(workspace, "docs/old", "new")
    harvest = workspace.harvest(("docs/**",), checkout.tree)
    assert sorted((one.status, one.path) for one in harvest.changes) == [
        ("A", "docs/old"),
        ("D", "docs/old/b.md"),
    ]
    assert not harvest.violations


def test_a_workspace_that_was_made_a_file_is_made_anew(tmp_path):
    checkout = Checkout(tmp_path, {"src/a.py": "one\n"})
    workspace = checkout.workspace()
    workspace.prepare(checkout.head, checkout.tree)
    remove(workspace.folder)
    workspace.folder.write_text("a file\n")
    again = checkout.workspace()
    again.prepare(checkout.head, checkout.tree)
    assert (again.folder / "src/a.py").read_text() == "one\n"


@pytest.mark.parametrize(
    ("levels", "name"), [(60, "d" * 100), (1100, "d")], ids=["too long for a path", "too deep"]
)
def test_folders_deeper_than_a_path_can_say_are_removed(tmp_path, levels, name):
    checkout = Checkout(tmp_path, {"src/a.py": "one\n"})
    workspace = checkout.workspace()
    workspace.prepare(checkout.head, checkout.tree)
    sh(workspace.folder, sys.executable, "-c", DEEP, str(levels), name)
    again = checkout.workspace()
    again.prepare(checkout.head, checkout.tree)
    assert sorted(path.name for path in again.folder.iterdir()) == [".git", "src"]


def test_what_set_up_made_is_no_work_of_a_stage_that_is_taken_up(tmp_path):
    checkout = Checkout(tmp_path, {"src/a.py": "one\n"})
    (checkout.root / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    checkout.commit()
    workspace = checkout.workspace(set_up=checkout.setups("echo 1 > src/_version.py").require)
    workspace.prepare(checkout.head, checkout.tree)
    (workspace.folder / "src/a.py").write_text("changed\n")
    later = checkout.workspace(set_up=checkout.setups("echo 1 > src/_version.py").require)
    later.resume(checkout.tree)
    assert [one.path for one in later.harvest(("src/**",), checkout.tree).changes] == ["src/a.py"]
