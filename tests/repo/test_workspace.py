"""Workspaces: what an agent did is found, whatever it does to hide it, and the next stage starts
clean.
"""

import os
import socket
import subprocess
import time
from types import SimpleNamespace

import pytest

from pipeline.repo import objects, scan
from pipeline.repo.git import Git, GitError
from pipeline.repo.store import NO_COMMIT, Store, repo_id
from pipeline.repo.user import FALLBACK_AUTHOR, UserRepo
from pipeline.repo.workspace import Workspace

FILES = {
    "src/a.py": "one\n",
    "src/b.py": "two\n",
    "tests/test_a.py": "three\n",
    ".gitignore": "ignored/\n*.log\n",
}


def sh(folder, *command):
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def user(tmp_path):
    root = tmp_path / "repo"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    sh(root, "git", "init", "-q", "-b", "main")
    sh(root, "git", "add", "-A")
    sh(root, "git", "-c", "user.name=P", "-c", "user.email=p@q", "commit", "-qm", "first")
    return UserRepo(root / "src", {"PATH": os.environ["PATH"], "HOME": str(tmp_path)})


@pytest.fixture
def store(tmp_path, user):
    return Store(tmp_path / "state" / "store.git", user.objects)


@pytest.fixture
def ready(tmp_path, user, store):
    workspace = Workspace(tmp_path / "ws" / "0", store)
    commit = user.pin_base("").commit
    workspace.prepare(commit, store.tree_of(commit))
    return workspace, commit, store.tree_of(commit)


def paths(harvest):
    return [(change.status, change.path) for change in harvest.changes]


def test_an_agent_sees_the_history_and_a_clean_status_and_no_remote(ready):
    workspace, _, _ = ready
    assert sh(workspace.folder, "git", "log", "--format=%s") == "first"
    assert sh(workspace.folder, "git", "status", "--porcelain") == ""
    assert sh(workspace.folder, "git", "remote") == ""


def test_changes_new_files_deletions_modes_and_links_are_found(ready):
    workspace, _, tree = ready
    (workspace.folder / "src/a.py").write_text("ONE\n")
    (workspace.folder / "src/b.py").unlink()
    (workspace.folder / "src/new.py").write_text("x\n")
    (workspace.folder / "tests/test_a.py").chmod(0o755)
    (workspace.folder / "src/link").symlink_to("a.py")
    harvest = workspace.harvest(("src/**", "tests/**"), tree)
    assert paths(harvest) == [
        ("M", "src/a.py"),
        ("D", "src/b.py"),
        ("A", "src/link"),
        ("A", "src/new.py"),
        ("M", "tests/test_a.py"),
    ]
    assert harvest.violations == ()


def test_a_change_with_the_same_size_and_a_forged_time_is_found(ready):
    workspace, _, tree = ready
    path = workspace.folder / "src/a.py"
    info = path.stat()
    path.write_text("eno\n")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert paths(workspace.harvest(("src/**",), tree)) == [("M", "src/a.py")]


def test_a_change_of_the_same_size_in_the_second_of_the_checkout_is_found(tmp_path, user, store):
    commit = user.pin_base("").commit
    workspace = Workspace(tmp_path / "ws" / "0", store)
    time.sleep(1 - time.time() % 1)
    workspace.prepare(commit, tree := store.tree_of(commit))
    (workspace.folder / "src/a.py").write_text("ONE\n")
    time.sleep(1 - time.time() % 1)
    assert sh(workspace.folder, "git", "status", "--porcelain") == "M src/a.py"
    assert paths(workspace.harvest(("src/**",), tree)) == [("M", "src/a.py")]


def test_a_folder_is_handed_over_when_a_change_in_it_is_sure_to_get_a_new_time(
    tmp_path, monkeypatch
):
    times = iter([7, 7, 7, 8])
    slept: list[float] = []
    info = SimpleNamespace(fstat=lambda _: SimpleNamespace(st_ctime_ns=next(times)))
    monkeypatch.setattr("pipeline.repo.scan.os", info)
    monkeypatch.setattr("pipeline.repo.scan.time", SimpleNamespace(sleep=slept.append))
    scan.wait_for_clock_tick(tmp_path)
    assert (len(slept), list(times), list(tmp_path.iterdir())) == (2, [], [])


def test_a_git_folder_that_nobody_touched_is_used_again(ready):
    workspace, commit, tree = ready
    made = (workspace.folder / ".git").stat().st_ino
    workspace.prepare(commit, tree)
    assert (workspace.folder / ".git").stat().st_ino == made
    (workspace.folder / "src/a.py").write_text("ONE\n")
    workspace.prepare(commit, tree)
    assert sh(workspace.folder, "git", "status", "--porcelain") == ""
    workspace.prepare(commit, tree, with_git=False)
    assert not (workspace.folder / ".git").exists()


@pytest.mark.parametrize(
    "plant",
    [
        lambda git: (git / "hooks").mkdir(),
        lambda git: (git / "config").write_text(
            (git / "config").read_text().replace("false", "true ")
        ),
        lambda git: (git / "HEAD").chmod(0o600),
        lambda git: (git / "objects").rename(git / "objets"),
        lambda git: git.rename(git.with_name("planted")),
    ],
    ids=["hooks", "config of the same size", "a mode", "a folder away", "all away"],
)
def test_a_git_folder_that_somebody_touched_is_made_anew(ready, plant):
    workspace, commit, tree = ready
    git = workspace.folder / ".git"
    before = {path.relative_to(git): path.read_bytes() for path in git.rglob("*") if path.is_file()}
    plant(git)
    workspace.prepare(commit, tree)
    assert {
        path.relative_to(git): path.read_bytes() for path in git.rglob("*") if path.is_file()
    } == before
    assert not (workspace.folder / "planted").exists()
    assert not (git / "hooks").exists()


def test_a_git_folder_of_another_commit_is_made_anew(ready, user):
    workspace, commit, tree = ready
    sh(
        user.root,
        "git",
        "-c",
        "user.name=P",
        "-c",
        "user.email=p@q",
        "commit",
        "-qm",
        "second",
        "--allow-empty",
    )
    second = user.pin_base("").commit
    assert second != commit
    workspace.prepare(second, tree)
    assert sh(workspace.folder, "git", "rev-parse", "HEAD") == second


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_hiding_bits_in_the_agents_index_hide_nothing(ready, flag):
    workspace, _, tree = ready
    sh(workspace.folder, "git", "update-index", flag, "src/a.py")
    (workspace.folder / "src/a.py").write_text("hidden\n")
    (workspace.folder / ".git/info/exclude").write_text("*\n")
    (workspace.folder / "src/new.py").write_text("hidden too\n")
    assert paths(workspace.harvest(("src/**",), tree)) == [("M", "src/a.py"), ("A", "src/new.py")]


def test_ignored_files_and_the_litter_of_tools_are_no_change(ready):
    workspace, _, tree = ready
    for name in (
        "ignored/x",
        "run.log",
        "src/__pycache__/a.pyc",
        ".pytest_cache/v",
        "a.txt.tmp.123.ab",
    ):
        (workspace.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace.folder / name).write_text("x")
    assert workspace.harvest((), tree).changes == ()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda folder: (folder / "tests/test_a.py").write_text("x"),
            "tests/test_a.py: outside the paths of this stage (src/**)",
        ),
        (
            lambda folder: (folder / "src/out").symlink_to("/etc/passwd"),
            "src/out: a link out of the workspace",
        ),
        (
            lambda folder: (folder / "src/up").symlink_to("../../x"),
            "src/up: a link out of the workspace",
        ),
        (
            lambda folder: os.mkfifo(folder / "src/pipe"),
            "src/pipe: neither a file nor a folder nor a link",
        ),
        (
            lambda folder: socket.socket(socket.AF_UNIX).bind(os.path.relpath(folder / "src/s")),
            "src/s: neither a file",
        ),
        (lambda folder: (folder / "src/a\nb.py").write_text("x"), "a name that is not plain text"),
        (
            lambda folder: open(os.fsencode(folder / "src") + b"/\xff.py", "w").close(),
            "that is not plain text",
        ),
        (
            lambda folder: sh(folder / "src", "git", "init", "-q", "inner"),
            "src/inner/.git: a git repository inside",
        ),
        (
            lambda folder: (folder / "src/.gitattributes").write_text("* filter=x"),
            "src/.gitattributes: protected",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_what_no_stage_may_leave_is_a_violation(ready, make, says):
    workspace, _, tree = ready
    make(workspace.folder)
    assert any(
        says in str(violation) for violation in workspace.harvest(("src/**",), tree).violations
    )


def test_the_next_stage_starts_from_exactly_its_tree(ready):
    workspace, commit, tree = ready
    (workspace.folder / "src/a.py").write_text("changed\n")
    (workspace.folder / "src/b.py").unlink()
    (workspace.folder / "left").mkdir()
    (workspace.folder / "left/over").write_text("x")
    (workspace.folder / ".git/config").write_text('[filter "x"]\n\tclean = false\n')
    sh(workspace.folder / "src", "git", "init", "-q", "inner")
    os.mkfifo(workspace.folder / "pipe")
    workspace.prepare(commit, tree)
    assert (workspace.folder / "src/a.py").read_text() == "one\n"
    assert (workspace.folder / "src/b.py").read_text() == "two\n"
    found = {
        path.relative_to(workspace.folder).as_posix()
        for path in workspace.folder.rglob("*")
        if not path.is_dir()
    }
    assert {name for name in found if not name.startswith(".git/")} == set(FILES)
    assert "filter" not in (workspace.folder / ".git/config").read_text()
    assert workspace.harvest((), tree).changes == ()


def test_a_workspace_taken_up_by_another_process_tells_the_same(ready, tmp_path, store):
    workspace, _, tree = ready
    (workspace.folder / "src/a.py").write_text("changed\n")
    (workspace.folder / "src/b.py").unlink()
    (workspace.folder / "src/new.py").write_text("x\n")
    first = workspace.harvest(("src/**",), tree)
    other = Workspace(tmp_path / "ws" / "0", store)
    other.resume(tree)
    assert other.harvest(("src/**",), tree) == first


def test_a_folder_in_the_place_of_a_file_and_the_other_way_round(ready):
    workspace, commit, tree = ready
    (workspace.folder / "src/a.py").unlink()
    (workspace.folder / "src/a.py").mkdir()
    (workspace.folder / "src/a.py/x").write_text("x")
    harvest = workspace.harvest(("src/**",), tree)
    assert paths(harvest) == [("D", "src/a.py"), ("A", "src/a.py/x")]
    workspace.prepare(commit, harvest.tree)
    assert (workspace.folder / "src/a.py/x").read_text() == "x"
    workspace.prepare(commit, tree)
    assert (workspace.folder / "src/a.py").read_text() == "one\n"


def test_grafting_takes_the_matching_paths_and_no_others(store, ready):
    workspace, _, tree = ready
    (workspace.folder / "src/a.py").write_text("changed\n")
    (workspace.folder / "src/b.py").unlink()
    (workspace.folder / "tests/test_a.py").write_text("changed\n")
    new = workspace.harvest(("**",), tree).tree
    grafted = store.graft(tree, new, ("src/**",))
    assert [(change.status, change.path) for change in store.diff(tree, grafted)] == [
        ("M", "src/a.py"),
        ("D", "src/b.py"),
    ]
    assert store.graft(grafted, new, ("tests/**",)) == new
    assert store.graft(new, tree, ("**",)) == tree


def test_a_ref_is_made_once_and_again_only_with_the_same_commit(store, user):
    commit = user.pin_base("").commit
    store.set_ref("refs/runs/x/stages/s/1", commit, NO_COMMIT)
    store.set_ref("refs/runs/x/stages/s/1", commit, NO_COMMIT)
    other = store.commit(store.tree_of(commit), commit, "m\n", author="A <a@b>", at=user_time())
    with pytest.raises(GitError):
        store.set_ref("refs/runs/x/stages/s/1", other, NO_COMMIT)


def test_commits_are_a_function_of_what_they_say(store, user):
    commit = user.pin_base("").commit
    made = {
        store.commit(store.tree_of(commit), commit, "m\n", author="A B <a@b>", at=user_time())
        for _ in range(3)
    }
    assert len(made) == 1


def test_git_never_falls_back_to_another_folder(tmp_path):
    git = Git(tmp_path / "gone")
    with pytest.raises(GitError, match="does not exist"):
        git("status")


def test_the_base_is_the_remotes_head_then_the_current_branch(user, tmp_path):
    assert user.pin_base("").branch == "main"
    sh(user.root, "git", "clone", "-q", "--bare", ".", str(tmp_path / "remote.git"))
    sh(user.root, "git", "remote", "add", "origin", str(tmp_path / "remote.git"))
    sh(user.root, "git", "fetch", "-q", "origin")
    sh(user.root, "git", "remote", "set-head", "origin", "main")
    sh(user.root, "git", "switch", "-qc", "mine")
    sh(
        user.root,
        "git",
        "-c",
        "user.name=P",
        "-c",
        "user.email=p@q",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "mine",
    )
    (user.root / "src/a.py").write_text("dirty\n")
    base = user.pin_base("")
    assert base.branch == "main"
    assert base.notes == (
        "your checkout is 1 commit(s) ahead of main and 0 behind; the run starts at main",
        "1 uncommitted change(s) in your checkout are not part of this run",
    )
    assert user.pin_base("mine").branch == "mine"


def test_without_an_identity_commits_are_made_in_the_pipelines_name(user):
    assert user.author() == FALLBACK_AUTHOR


def test_repositories_of_the_same_name_do_not_share_a_store(tmp_path):
    one, other = repo_id(tmp_path / "a" / "x" / ".git"), repo_id(tmp_path / "b" / "x" / ".git")
    assert one.startswith("x-")
    assert one != other


def user_time():
    from datetime import UTC, datetime

    return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_names_that_differ_in_case_only_are_found(tmp_path):
    assert objects.case_collisions(["a.txt", "A.txt", "b/c", "B/c", "d"]) == [
        ("a.txt", "A.txt"),
        ("b/c", "B/c"),
    ]
    (tmp_path / "probe").touch()
    assert objects.is_case_insensitive(tmp_path) == (tmp_path / "PROBE").exists()
