"""Workspaces that one run after the other uses: exactly the tree, whatever was left; whole or only
some folders.
"""

import os

import pytest

from pipeline.repo.links import IncludedFiles
from tests.helpers.checkouts import Checkout, sh

FILES = {
    "README.md": "r\n",
    "src/app.py": "one\n",
    "src/deep/er/x.py": "x\n",
    "packages/list.txt": "l\n",
    "packages/api/a.py": "a\n",
    "packages/web/w.py": "w\n",
    ".gitignore": "*.log\n.env\nlocal/\n",
}


@pytest.fixture
def made(tmp_path):
    return Checkout(tmp_path, FILES)


def holds(folder):
    """Every path below a folder with its mode and content, but `.git`."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not name.startswith(".git/") and name != ".git":
            found[name] = (path.lstat().st_mode, path.read_text() if path.is_file() else "")
    return found


def changed(workspace, tree):
    return [(change.status, change.path) for change in workspace.harvest(("**",), tree).changes]


def ravage(folder):
    """Leave everything behind that somebody could leave behind."""
    (folder / "src/app.py").write_text("changed\n")
    (folder / "README.md").chmod(0o777)
    (folder / "run.log").write_text("ignored")
    (folder / "src/__pycache__").mkdir()
    (folder / "src/__pycache__/app.pyc").write_text("x")
    (folder / "empty/empty").mkdir(parents=True)
    (folder / "src/deep").chmod(0o777)
    (folder / "packages/web/w.py").unlink()
    (folder / "packages/web").rmdir()
    (folder / "packages/web").symlink_to(folder.parent)
    sh(folder / "packages/api", "git", "init", "-q", "inner")
    os.link(folder / "src/deep/er/x.py", folder / "twin.py")
    os.mkfifo(folder / "pipe")
    (folder / "locked").mkdir()
    (folder / "locked/x").write_text("x")
    (folder / "locked").chmod(0)
    folder.chmod(0)


def test_the_next_process_finds_exactly_the_tree_whatever_was_left(made):
    first = made.workspace()
    first.prepare(made.head, made.tree)
    clean = holds(first.folder)
    ravage(first.folder)
    again = made.workspace()
    again.prepare(made.head, made.tree)
    assert holds(again.folder) == clean
    assert changed(again, made.tree) == []
    assert sh(again.folder, "git", "status", "--porcelain") == ""


def test_a_workspace_that_is_as_it_should_be_is_left_alone(made):
    made.workspace().prepare(made.head, made.tree)
    path = made.state / "ws/0/tree/src/app.py"
    before, index = path.stat().st_ino, (made.state / "ws/0/tree.index").stat()
    made.workspace().prepare(made.head, made.tree)
    assert path.stat().st_ino == before
    assert (made.state / "ws/0/tree.index").stat().st_mtime_ns == index.st_mtime_ns


def test_another_tree_writes_only_what_differs(made):
    made.workspace().prepare(made.head, made.tree)
    folder = made.state / "ws/0/tree"
    before = (folder / "README.md").stat().st_ino
    sh(made.root, "git", "rm", "-qr", "src/deep")
    made.commit(**{"src__new__y.py": "y\n"})
    made.workspace().prepare(made.head, made.tree)
    assert (folder / "README.md").stat().st_ino == before
    assert not (folder / "src/deep").exists()
    assert (folder / "src/new/y.py").read_text() == "y\n"


def test_one_that_was_killed_while_it_was_prepared_is_made_anew(made):
    made.workspace().prepare(made.head, made.tree)
    folder = made.state / "ws/0"
    (folder / "tree/src/app.py").write_text("half")
    (folder / "tree.seen").unlink()
    (folder / "tree.index.lock").touch()
    made.workspace().prepare(made.head, made.tree)
    assert (folder / "tree/src/app.py").read_text() == "one\n"


def test_a_sparse_workspace_has_its_folders_and_loses_nothing_of_the_others(made):
    workspace = made.workspace(sparse=("packages/api/",))
    workspace.prepare(made.head, made.tree)
    assert set(holds(workspace.folder)) == {
        ".gitignore", "README.md", "packages", "packages/list.txt", "packages/api", "packages/api/a.py"
    }  # fmt: skip
    assert sh(workspace.folder, "git", "status", "--porcelain") == ""
    assert changed(workspace, made.tree) == []
    (workspace.folder / "packages/api/a.py").write_text("changed\n")
    (workspace.folder / "packages/api/new.py").write_text("n\n")
    (workspace.folder / "src").mkdir()
    (workspace.folder / "src/app.py").write_text("not seen before\n")
    (workspace.folder / "src/more.py").write_text("m\n")
    wanted = [
        ("M", "packages/api/a.py"),
        ("A", "packages/api/new.py"),
        ("M", "src/app.py"),
        ("A", "src/more.py"),
    ]
    harvest = workspace.harvest(("**",), made.tree)
    assert [(change.status, change.path) for change in harvest.changes] == wanted
    other = made.workspace(sparse=("packages/api",))
    other.resume(made.tree)
    assert other.harvest(("**",), made.tree) == harvest
    (made.state / "ws/0/tree.seen").unlink()
    other = made.workspace(sparse=("packages/api",))
    other.resume(made.tree)
    assert other.harvest(("**",), made.tree) == harvest, (
        "also when nothing is known of how it looked"
    )
    other.prepare(made.head, harvest.tree)
    assert (other.folder / "packages/api/new.py").exists()
    assert not (other.folder / "src").exists()
    whole = made.workspace()
    whole.prepare(made.head, harvest.tree)
    assert (whole.folder / "src/app.py").read_text() == "not seen before\n"
    assert (whole.folder / "packages/web/w.py").exists()


def test_the_files_a_person_names_are_copied_if_git_ignores_them(made):
    made.write({
        ".worktreeinclude": ".env*\n!.env.prod\nREADME.md\n*.txt\nlocal/a\nlink.log\n",
        ".env": "API_KEY=abcdefgh12\n", "src/.env": "x=1\n", ".env.prod": "x=2\n", "notes.txt": "n\n", "local/a": "a\n",
    })  # fmt: skip
    (made.root / "link.log").symlink_to("/etc/passwd")
    included = IncludedFiles(made.user.git, made.root)
    assert sorted(included.paths) == [".env", "local/a", "src/.env"]
    workspace = made.workspace(included=included)
    workspace.prepare(made.head, made.tree)
    assert (workspace.folder / "src/.env").read_text() == "x=1\n"
    assert (workspace.folder / "local/a").read_text() == "a\n"
    assert not (workspace.folder / ".env.prod").exists()
    (workspace.folder / ".env").write_text("bad\n")
    assert changed(workspace, made.tree) == []
    workspace.prepare(made.head, made.tree, reads=("src/**",))
    assert (workspace.folder / "src/.env").exists()
    assert not (workspace.folder / "local").exists(), (
        "a stage that reads only a part gets only that part of them"
    )
    workspace.prepare(made.head, made.tree)
    assert (workspace.folder / ".env").read_text() == "API_KEY=abcdefgh12\n"
    assert (made.root / ".env").read_text() == "API_KEY=abcdefgh12\n"
    assert included.secrets() == {"abcdefgh12": "API_KEY"}
    made.workspace().prepare(made.head, made.tree)
    assert not (workspace.folder / ".env").exists(), "the next run without them has none of them"
    assert not (workspace.folder / "local").exists(), "nor an empty folder where one was"
