"""Repositories as people have them: a run publishes from each, and leaves it byte for byte as it
was.
"""

import os
import shutil
import stat
from pathlib import Path

import pytest

from pipeline.repo.user import UserRepo
from tests.helpers.wild import WORK, Wild, flow_of


def test_from_a_linked_worktree_in_a_sub_folder_of_a_shallow_clone(tmp_path: Path) -> None:
    wild = Wild(tmp_path, flow_of(f"git rev-list --objects HEAD > $TMPDIR/log && {WORK}"))
    wild.add("docs/deep/page.md", "page\n")
    wild.cloned("--depth", "1")
    wild.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    wild.origin, wild.root = wild.root, tmp_path / "linked"
    assert wild.git("rev-parse", "--is-shallow-repository") == "true"
    wild.publish("trigger_workflow", "main", "an idea", "-C", "docs/deep")
    wild.published()


@pytest.mark.slow
def test_a_blobless_clone_has_the_files_it_lacks_fetched_first(tmp_path: Path) -> None:
    wild = Wild(tmp_path)
    wild.add("docs/page.md", "page\n")
    wild.cloned("--filter=blob:none", "--sparse")
    wild.git("sparse-checkout", "set", "agents")
    assert not (wild.root / "src").exists()
    wild.publish()
    wild.published()


def test_a_blobless_clone_that_is_offline_is_told_so_and_goes_on_later(tmp_path: Path) -> None:
    wild = Wild(tmp_path).cloned("--filter=blob:none", "--sparse")
    wild.git("sparse-checkout", "set", "agents")
    wild.publish("trigger_workflow", "main", "an idea", code=-9, PIPELINE_FAILPOINT="run.created")
    wild.remote.rename(tmp_path / "away.git")
    run = wild.newest()
    done = wild.publish("pipeline", "resume", run, code=2)
    assert "partial clone" in done.stderr
    assert f"pipeline resume {run}" in done.stderr
    (tmp_path / "away.git").rename(wild.remote)
    wild.publish("pipeline", "resume", run)
    wild.published()


def add_submodule(wild: Wild, folder: Path) -> None:
    local = ("-c", "protocol.file.allow=always")
    wild.git(*local, "submodule", "add", "--quiet", str(folder / "repo"), "vendor/lib")
    wild.commit("Add a submodule")


@pytest.mark.slow
def test_a_submodule_stays_a_link_to_a_commit(tmp_path: Path) -> None:
    wild = Wild(tmp_path)
    add_submodule(wild, tmp_path)
    before = wild.git("ls-tree", "HEAD", "vendor/lib")
    wild.publish()
    head = wild.published()
    assert wild.git("ls-tree", head, "vendor/lib") == before


def test_an_agent_cannot_fill_a_submodule_with_files(tmp_path: Path) -> None:
    wild = Wild(tmp_path, flow_of("mkdir -p vendor/lib; echo x > vendor/lib/x", "**"))
    add_submodule(wild, tmp_path)
    done = wild.publish(code=1)
    assert "vendor/lib: a submodule" in done.stdout + done.stderr


def test_a_person_cannot_fill_a_submodule_with_files_either(tmp_path: Path) -> None:
    wild = Wild(tmp_path, flow_of("echo x > src/x; exit 1", "src/**"))
    add_submodule(wild, tmp_path)
    wild.publish(code=1)
    run = wild.newest()
    folder = Path(wild.run("pipeline", "open", run, "--print-path").stdout.strip())
    (folder / "vendor" / "lib").mkdir(parents=True, exist_ok=True)
    (folder / "vendor" / "lib" / "mine").write_text("mine\n")
    done = wild.run("pipeline", "retry", run, "work")
    assert done.returncode == 2
    assert "vendor/lib: a submodule" in done.stderr
    assert (folder / "vendor" / "lib" / "mine").read_text() == "mine\n"


def test_odd_names_links_and_twins_in_the_base_are_left_alone(tmp_path: Path) -> None:
    wild = Wild(tmp_path)
    (wild.root / "link").symlink_to("/etc/hostname")
    (wild.root / "docs").mkdir()
    (wild.root / "docs" / "inner").symlink_to("../src/app.py")
    for name in (
        b"docs/a.txt",
        b"docs/A.txt",
        "docs/n\u00e9 \u65e5\u672c.txt".encode(),
        b"docs/\xff\xfe.txt",
        b"docs/tab\there",
    ):
        wild.add(name, "text\n")
    tree = wild.git("rev-parse", "HEAD:docs")
    wild.publish()
    assert wild.git("rev-parse", f"{wild.published()}:docs") == tree


def test_a_detached_dirty_checkout_with_hooks_and_no_remote(tmp_path: Path) -> None:
    wild = Wild(tmp_path)
    hooks = (
        "pre-commit",
        "post-checkout",
        "reference-transaction",
        "pre-push",
        "post-merge",
        "pre-auto-gc",
        "post-index-change",
    )
    for name in hooks:
        hook = wild.root / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/fired\n")
        hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "fired").unlink(missing_ok=True)
    wild.git("-c", "core.hooksPath=/dev/null", "checkout", "--quiet", "--detach")
    (wild.root / "src" / "app.py").write_text("unstaged\n")
    (wild.root / "staged.py").write_text("staged\n")
    wild.git("-c", "core.hooksPath=/dev/null", "add", "staged.py")
    (wild.root / "untracked.py").write_text("untracked\n")
    wild.publish()
    wild.published()
    assert not (tmp_path / "fired").exists()
    assert "3 uncommitted change(s)" in " ".join(wild.result()["notes"])


def test_line_endings_are_those_of_the_repository(tmp_path: Path) -> None:
    wild = Wild(
        tmp_path,
        flow_of(
            "printf 'a\\r\\nb\\r\\n' > src/new.py; printf '# x\\n' >> src/app.py; file "
            "src/app.py > /dev/null"
        ),
    )
    wild.add(".gitattributes", "* text=auto eol=crlf\n")
    wild.publish()
    head = wild.published()
    assert b"\r" not in wild.git("cat-file", "blob", f"{head}:src/new.py").encode()
    assert wild.git("diff", "--numstat", f"{head}~", head, "--", "src/app.py").split("\t")[:2] == [
        "1",
        "0",
    ]


@pytest.mark.skipif(
    shutil.which("git-lfs") is None, reason="git-lfs is not installed (apt-get install git-lfs)"
)
def test_an_lfs_file_that_an_agent_changed_is_committed_as_a_pointer_and_its_object_pushed(
    tmp_path: Path,
) -> None:
    wild = Wild(
        tmp_path, flow_of("printf new > assets/a.bin; cat assets/b.bin > src/seen.txt", "**")
    ).with_remote()
    wild.git("lfs", "install", "--local", "--skip-smudge")
    wild.add(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    wild.add("assets/a.bin", "old")
    wild.add("assets/b.bin", "beside")
    wild.git("push", "--quiet", "origin", "main")
    wild.publish()
    head = wild.published(["assets/a.bin", "src/seen.txt"])
    pointer = wild.git("show", f"{head}:assets/a.bin")
    assert pointer.startswith("version https://git-lfs.github.com/spec/v1")
    assert wild.git("show", f"{head}:src/seen.txt").startswith("version https://git-lfs"), (
        "a workspace has pointers"
    )
    oid = pointer.split("sha256:")[1].split()[0]
    for storage in (wild.root / ".git" / "lfs", wild.remote / "lfs"):
        assert (storage / "objects" / oid[:2] / oid[2:4] / oid).read_bytes() == b"new"


def test_a_filter_runs_by_the_persons_configuration_and_never_by_what_an_agent_planted(
    tmp_path: Path,
) -> None:
    plant = (
        "printf 'touch %s/planted\\ncat' > tidy.sh; printf '*.nb filter=tidy\\n*.py "
        "filter=own\\n' > src/.gitattributes"
    )
    work = (
        f"printf 'SECRET a' > src/x.nb; printf 'SECRET b' > src/y.nb; {plant} ; rm "
        "src/.gitattributes tidy.sh"
    )
    wild = Wild(tmp_path, flow_of(work))
    wild.git("config", "filter.tidy.clean", "sed s/SECRET/public/")
    wild.git("config", "filter.tidy.smudge", "sed s/public/SECRET/")
    wild.add(".gitattributes", "*.nb filter=tidy\n")
    wild.publish()
    head = wild.published(["src/x.nb", "src/y.nb"])
    assert wild.git("show", f"{head}:src/x.nb") == "public a"


@pytest.mark.slow
def test_a_file_whose_filter_the_person_has_not_set_up_is_refused(tmp_path: Path) -> None:
    wild = Wild(tmp_path, flow_of("printf x > src/key.bin"))
    wild.add(".gitattributes", "*.bin filter=git-crypt\n")
    done = wild.publish(code=1)
    assert (
        "src/key.bin: its filter cannot store it (git-crypt: the filter git-crypt is not set up"
        in done.stderr
    )


def test_a_huge_file_may_be_in_the_base_and_none_may_come_from_an_agent(tmp_path: Path) -> None:
    wild = Wild(tmp_path, flow_of("head -c 3000000 /dev/zero > src/big.bin"))
    wild.add("data/huge.bin", bytes(3_000_000))
    done = wild.publish(code=1, AGENT_MAX_FILE_MB="2")
    assert (
        "src/big.bin: too large (3.0 MB, and the limit for a file is 2 MB; raise AGENT_MAX_FILE_MB"
        in done.stderr
    )
    wild.publish("pipeline", "retry", wild.newest(), "work")
    wild.published(["src/big.bin"])


@pytest.mark.slow
def test_a_file_of_sixty_megabytes_may_be_in_the_base_and_none_may_come_from_an_agent(
    tmp_path: Path,
) -> None:
    wild = Wild(tmp_path, flow_of("head -c 60000000 /dev/zero > src/big.bin"))
    wild.add("data/huge.bin", bytes(60_000_000))
    done = wild.publish(code=1)
    assert "src/big.bin: too large (60.0 MB, and the limit for a file is 50 MB" in done.stderr


def test_what_an_adopted_agent_did_not_touch_is_not_held_against_it(tmp_path: Path) -> None:
    wild = Wild(tmp_path)
    wild.git(
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "--quiet",
        str(tmp_path / "repo"),
        "vendor/lib",
    )
    wild.git("config", "filter.tidy.clean", "cat")
    wild.add(".gitattributes", "*.nb filter=tidy\n")
    for name in (b"docs/\xff.txt", b"docs/tab\t.txt", b"docs/a.nb"):
        wild.add(name, "text\n")
    wild.add("data/huge.bin", bytes(3_000_000))
    started = ("trigger_workflow", "main", "an idea")
    wild.publish(*started, code=-9, PIPELINE_FAILPOINT="stage.exited", AGENT_MAX_FILE_MB="2")
    wild.publish("pipeline", "resume", wild.newest(), AGENT_MAX_FILE_MB="2")
    wild.published()


def test_a_branch_called_feature_is_named_before_anything_is_started(tmp_path: Path) -> None:
    wild = Wild(tmp_path)
    wild.git("branch", "feature")
    done = wild.publish(code=2)
    assert "the branch feature is in the way" in done.stderr
    assert "git branch -m feature feature-old" in done.stderr
    assert wild.run_ids() == []


def test_a_branch_that_comes_in_the_way_later_loses_nothing(tmp_path: Path) -> None:
    wild = Wild(
        tmp_path,
        flow_of("git -C $REPO branch feature; echo > src/new.py").replace(
            "writes:", f"env: {{REPO: {tmp_path}/repo}}, writes:"
        ),
    )
    done = wild.publish(code=2, untouched=False)
    run = wild.newest()
    assert "the branch feature is in the way" in done.stderr
    assert f"Then type: pipeline resume {run}" in done.stderr
    wild.git("branch", "-m", "feature", "mine")
    wild.publish("pipeline", "resume", run)
    wild.published(["src/new.py"])
    assert wild.started().count("work") == 1


@pytest.mark.slow
def test_a_branch_called_feature_on_the_remote_is_named_too(tmp_path: Path) -> None:
    wild = Wild(tmp_path).with_remote()
    wild.at(wild.remote, "branch", "feature", "main")
    done = wild.publish(code=2)
    assert "origin has a branch feature, which is in the way" in done.stderr
    wild.at(wild.remote, "branch", "-D", "feature")
    wild.publish("pipeline", "resume", wild.newest())
    wild.published()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to another user")
def test_a_repository_of_another_user_is_refused_with_what_to_type(tmp_path: Path) -> None:
    wild = Wild(tmp_path)
    os.chown(wild.root, 12345, 12345)
    os.chown(wild.root / ".git", 12345, 12345)
    done = wild.run("trigger_workflow", "main", "an idea")
    assert done.returncode == 2
    assert f"git config --global --add safe.directory {wild.root}" in done.stderr
    wild.run("git", "config", "--global", "--add", "safe.directory", str(wild.root))
    assert wild.run("trigger_workflow", "main", "an idea").returncode == 0


def test_a_base_that_is_rewritten_and_pruned_meanwhile_takes_nothing_away(tmp_path: Path) -> None:
    wild = Wild(tmp_path)
    wild.add("docs/page.md", "page\n")
    wild.git("gc", "--quiet")
    wild.add("docs/page.md", "loose\n")
    assert (
        wild.run(
            "trigger_workflow", "main", "an idea", PIPELINE_FAILPOINT="stage.recorded@work"
        ).returncode
        == -9
    )
    wild.git("checkout", "--quiet", "--orphan", "anew")
    wild.commit("Rewritten")
    wild.git("branch", "-M", "anew", "main")
    wild.git("reflog", "expire", "--expire=now", "--all")
    wild.git("gc", "--prune=now", "--quiet")
    wild.publish("pipeline", "resume", wild.newest())
    wild.published()


def test_who_a_person_is_can_stand_in_the_xdg_file(tmp_path: Path) -> None:
    wild = Wild(tmp_path)
    wild.git("config", "--unset", "user.name")
    wild.git("config", "--unset", "user.email")
    (tmp_path / ".config" / "git").mkdir(parents=True)
    (tmp_path / ".config" / "git" / "config").write_text(
        "[user]\nname = Xenia\nemail = x@example.org\n"
    )
    assert UserRepo(wild.root, wild.env).author() == "Xenia <x@example.org>"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("src/new.py", "conflicts with it in: src/new.py"),
        pytest.param("other.txt", "It merges cleanly", marks=pytest.mark.slow),
    ],
)
def test_a_base_that_moved_is_said_with_whether_it_merges(
    tmp_path: Path, name: str, said: str
) -> None:
    move = (
        "git checkout -q main; echo moved > $FILE; git add .; git commit -qm Moved; git "
        "push -q origin main"
    )
    who = (
        "GIT_AUTHOR_NAME: O, GIT_AUTHOR_EMAIL: o@p, GIT_COMMITTER_NAME: O, GIT_COMMITTER_EMAIL: o@p"
    )
    flow = flow_of(f"(cd {tmp_path}/other; {move}); echo mine > src/new.py")
    wild = Wild(
        tmp_path, flow.replace("writes:", f"env: {{FILE: {name}, {who}}}, writes:")
    ).with_remote()
    wild.git("clone", "--quiet", str(wild.remote), str(tmp_path / "other"))
    base = wild.git("rev-parse", "HEAD")
    wild.publish()
    head = wild.published(["src/new.py"])
    assert wild.git("rev-parse", f"{head}~") == base
    body = (wild.root / "docs" / "status" / "runs" / wild.newest() / "pr_body.md").read_text()
    assert "main has moved by 1 commit" in body
    assert said in body
    assert any("has moved" in note for note in wild.result()["notes"])


def test_a_repository_with_another_hash_will_do(tmp_path: Path) -> None:
    wild = Wild(
        tmp_path,
        flow_of(f"git rev-list --objects HEAD > $TMPDIR/log && {WORK}; echo x > src/a.nb", "**"),
    )
    shutil.rmtree(wild.root / ".git")
    wild.git("init", "--quiet", "--initial-branch=main", "--object-format=sha256")
    wild.git("config", "user.name", "A Person")
    wild.git("config", "user.email", "person@example.org")
    wild.git("config", "filter.tidy.clean", "cat")
    wild.add(".gitattributes", "*.nb filter=tidy\n")
    wild.publish()
    assert len(wild.published(["src/a.nb", "src/app.py", "src/new.py"])) == 64
