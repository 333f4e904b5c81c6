"""Set-ups: made once for each state of their inputs, copied into workspaces, never part of a
change.
"""

import os
import subprocess
import sys

import pytest

from pipeline.core.violations import Violation, ViolationKind
from pipeline.errors import UsageProblem
from pipeline.language.target import Clone
from pipeline.language.words import Glob
from pipeline.process.environment import with_programs
from pipeline.repo.setups import SetupFailed
from tests.helpers.checkouts import Checkout, sh

FILES = {
    "package.json": "{}",
    "src/app.py": "one\n",
    "packages/a/index.js": "a\n",
    "README.md": "x\n",
}
INSTALL = (
    "mkdir -p node_modules/left packages/a/node_modules && echo 1 > node_modules/left/pad.js "
    "&& echo 2 > packages/a/node_modules/x"
)
GENERATE = "echo 'version = 1' > src/_version.py"


@pytest.fixture
def made(tmp_path):
    return Checkout(tmp_path, FILES)


def ready(made, setups, name="0"):
    workspace = made.workspace(name, set_up=setups.require)
    workspace.prepare(made.head, made.tree)
    return workspace


def changed(workspace, tree):
    return [change.path for change in workspace.harvest(("**",), tree).changes]


def test_what_set_up_makes_is_in_the_workspace_and_is_no_change(made):
    workspace = ready(made, made.setups(INSTALL, GENERATE))
    assert (workspace.folder / "node_modules/left/pad.js").read_text() == "1\n"
    assert (workspace.folder / "packages/a/node_modules/x").read_text() == "2\n"
    assert (workspace.folder / "src/_version.py").read_text() == "version = 1\n"
    assert sh(workspace.folder, "git", "status", "--porcelain") == ""
    (workspace.folder / "src/app.py").write_text("two\n")
    (workspace.folder / "node_modules/left/pad.js").write_text("bad\n")
    (workspace.folder / "src/_version.py").write_text("version = 2\n")
    assert changed(workspace, made.tree) == ["src/app.py"]


def test_set_up_runs_once_for_each_state_of_its_inputs(made):
    ready(made, made.setups(INSTALL))
    made.commit(**{"src__app.py": "two\n"})
    ready(made, made.setups(INSTALL), "1")
    assert made.ran == [INSTALL]
    made.commit(**{"packages__a__package.json": "{}"})
    ready(made, made.setups(INSTALL))
    assert made.ran == [INSTALL] * 2
    made.commit(**{"src__app.py": "three\n"})
    ready(made, made.setups(INSTALL, inputs=(Glob("src/*.py"),)))
    ready(made, made.setups(INSTALL + " "))
    assert len(made.ran) == 4


def test_what_an_agent_does_to_its_copy_reaches_nobody_and_is_put_right(made):
    setups = made.setups(INSTALL)
    workspace, other = ready(made, setups), ready(made, setups, "gate")
    left = workspace.folder / "node_modules/left"
    (left / "pad.js").write_text("bad\n")
    (left / "planted.js").write_text("x")
    (workspace.folder / "node_modules/deep/er").mkdir(parents=True)
    (workspace.folder / "packages/a/node_modules/x").unlink()
    (workspace.folder / "packages/a/node_modules").rmdir()
    (workspace.folder / "packages/a/node_modules").symlink_to(made.root)
    assert (other.folder / "node_modules/left/pad.js").read_text() == "1\n"
    assert changed(workspace, made.tree) == []
    for again in (workspace, made.workspace(set_up=setups.require)):
        again.prepare(made.head, made.tree)
        assert sorted(path.name for path in (again.folder / "node_modules").rglob("*")) == [
            "left",
            "pad.js",
        ]
        assert (left / "pad.js").read_text() == "1\n"
        assert (again.folder / "packages/a/node_modules/x").read_text() == "2\n"
        left.chmod(0o500)
        (left / "pad.js").chmod(0o777)
    assert (made.root / "package.json").exists()


def test_a_workspace_that_another_process_takes_up_still_knows_what_is_no_change(made):
    workspace = ready(made, made.setups(INSTALL, GENERATE))
    (workspace.folder / "src/app.py").write_text("changed\n")
    (workspace.folder / "src/_version.py").write_text("version = 2\n")
    other = made.workspace(set_up=made.setups(INSTALL, GENERATE).require)
    other.resume(made.tree)
    assert changed(other, made.tree) == ["src/app.py"]


def test_a_copy_of_another_set_up_leaves_with_it(made):
    ready(made, made.setups(INSTALL))
    workspace = ready(made, made.setups(GENERATE))
    assert not (workspace.folder / "node_modules").exists()
    assert (workspace.folder / "src/_version.py").exists()
    workspace = made.workspace()
    workspace.prepare(made.head, made.tree)
    assert not (workspace.folder / "src/_version.py").exists()


def test_a_path_that_the_tree_has_goes_before_one_of_set_up(made):
    setups = made.setups(GENERATE)
    workspace = ready(made, setups)
    made.commit(**{"src___version.py": "mine\n"})
    workspace.prepare(made.head, made.tree)
    assert (workspace.folder / "src/_version.py").read_text() == "mine\n"
    (workspace.folder / "src/_version.py").write_text("changed\n")
    assert changed(workspace, made.tree) == ["src/_version.py"]


def test_a_folder_that_leaves_the_tree_takes_what_was_lent_to_it_along(made):
    setups = made.setups(INSTALL)
    workspace = ready(made, setups)
    sh(made.root, "git", "rm", "-qr", "packages")
    made.commit()
    workspace.prepare(made.head, made.tree)
    assert sorted(path.name for path in workspace.folder.iterdir()) == [
        ".git",
        "README.md",
        "node_modules",
        "package.json",
        "src",
    ]
    assert made.ran == [INSTALL]


def test_a_stage_that_reads_only_a_part_gets_the_set_up_of_the_whole(made):
    setups = made.setups(INSTALL)
    workspace = made.workspace(set_up=setups.require)
    part = made.store.only(made.tree, ("src/**",))
    workspace.prepare(made.head, part, setup_tree=made.tree, reads=("src/**",))
    assert sorted(path.name for path in workspace.folder.iterdir()) == [
        ".git",
        "node_modules",
        "src",
    ]
    assert made.ran == [INSTALL]


def test_a_workspace_that_was_made_a_link_is_not_followed(made, tmp_path):
    workspace = ready(made, made.setups(INSTALL))
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").write_text("mine")
    workspace.folder.rename(tmp_path / "away")
    removed = (Violation(kind=ViolationKind.WORKSPACE_REMOVED),)
    assert workspace.harvest(("**",), made.tree).violations == removed
    workspace.folder.symlink_to(tmp_path / "precious")
    assert workspace.harvest(("**",), made.tree).violations == removed
    workspace.prepare(made.head, made.tree)
    assert (tmp_path / "precious/file").read_text() == "mine"
    assert (workspace.folder / "node_modules/left/pad.js").read_text() == "1\n"


def test_copies_that_must_share_blocks_are_refused_where_that_is_impossible(made):
    def outcome():
        try:
            workspace = ready(made, made.setups(INSTALL, clone=Clone.REFLINK))
        except UsageProblem as exc:
            return exc.hint
        return (workspace.folder / "node_modules/left/pad.js").read_text()

    assert outcome() in {"Set workspace: {clone: auto} or {clone: copy} in the flow", "1\n"}


def test_a_failed_set_up_says_why_and_leaves_nothing(made):
    setups = made.setups("echo half > half && echo no network >&2 && exit 3")
    with pytest.raises(SetupFailed, match="exit status 3: no network") as found:
        setups.require(made.tree)
    assert "workspace.setup" in found.value.hint
    assert [path for path in (made.state / "setups").iterdir() if path.is_dir()] == []


def test_an_agent_whose_change_broke_the_set_up_gets_that_of_the_base(made):
    setups = made.setups("test ! -e requirements.txt && mkdir node_modules")
    broken = made.commit(**{"requirements.txt": "nonsense\n"})
    with pytest.raises(SetupFailed):
        setups.require(broken)
    found = setups.require_or_base(broken)
    assert found is not None
    assert found.products == ("node_modules",)


def test_a_set_up_that_was_killed_or_written_to_is_made_again(made):
    setups = made.setups(INSTALL)
    found = setups.require(made.tree)
    assert found is not None
    (made.state / "setups" / found.digest / "done").unlink()
    assert made.setups(INSTALL).require(made.tree) is not None
    (made.state / "setups" / found.digest / "tree/node_modules/left/pad.js").write_text("changed\n")
    workspace = ready(made, made.setups(INSTALL))
    assert (workspace.folder / "node_modules/left/pad.js").read_text() == "1\n"
    assert made.ran == [INSTALL] * 3


def test_a_virtual_environment_works_where_it_was_copied_to(made):
    """Scripts, editable installs and VIRTUAL_ENV mean the copy and the workspace's own source."""
    editable = (
        'pwd > .venv/lib/python$(python -c \'import sys; print("%d.%d" % '
        "sys.version_info[:2])')/site-packages/mine.pth"
    )
    script = (
        "printf '#!%s/.venv/bin/python\\nimport sys, app; print(sys.prefix, app.__file__)\\n' "
        "$PWD > .venv/bin/where && chmod +x .venv/bin/where"
    )
    made.commit(**{"app.py": "", ".gitignore": "__pycache__/\n"})
    workspace = ready(
        made, made.setups(f"{sys.executable} -m venv --without-pip .venv", editable, script)
    )
    env = with_programs(
        {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}, workspace.program_folders()
    )
    shown = subprocess.run(
        ["where"], env=env, capture_output=True, text=True, check=True
    ).stdout.split()
    assert shown == [str(workspace.folder / ".venv"), str(workspace.folder / "app.py")]
    assert env["VIRTUAL_ENV"] == str(workspace.folder / ".venv")
    assert changed(workspace, made.tree) == []


def test_linked_folders_are_copies_of_the_checkouts(made):
    made.commit(**{".gitignore": "node_modules/\n.env\nlocal/\n"})
    made.write({"node_modules/left/pad.js": "mine\n", ".env": "A=b\n", "local/deep/key": "k\n"})
    setups = made.setups(link=(Glob("node_modules/"), Glob(".env"), Glob("local/deep/key")))
    workspace = ready(made, setups)
    (workspace.folder / "node_modules/left/pad.js").write_text("bad\n")
    (workspace.folder / ".env").write_text("bad\n")
    assert (workspace.folder / "local/deep/key").read_text() == "k\n"
    assert (made.root / "node_modules/left/pad.js").read_text() == "mine\n"
    assert (made.root / ".env").read_text() == "A=b\n"
    made.write({"node_modules/left/pad.js": "newer\n"})
    assert (
        ready(made, made.setups(link=(Glob("node_modules"),))).folder / "node_modules/left/pad.js"
    ).read_text() == "newer\n"


@pytest.mark.parametrize(
    ("path", "says"),
    [("gone", "does not exist"), ("src", "not ignored"), ("away", "a symbolic link")],
)
def test_only_ignored_things_of_the_checkout_can_be_linked(made, path, says):
    (made.root / "away").symlink_to("/")
    with pytest.raises(UsageProblem, match=says):
        made.setups(link=(Glob(path),)).require(made.tree)


def test_set_up_sees_the_tags_that_versions_are_made_from(made):
    sh(made.root, "git", "tag", "v1.2.3")
    sh(
        made.root,
        "git",
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "tag",
        "-a",
        "-m",
        "x",
        "v1.2.4",
    )
    workspace = ready(made, made.setups("git describe --tags > version.txt; git tag > tags.txt"))
    assert (workspace.folder / "tags.txt").read_text().split() == ["v1.2.3", "v1.2.4"]
    assert (workspace.folder / "version.txt").read_text().strip() in {"v1.2.3", "v1.2.4"}
