"""A disk that is full, read-only or failing, and files where folders belong: one clear line, and
nothing that was paid for is paid for again.
"""

import errno
import os
import shutil
import subprocess
import threading
from contextlib import suppress

import pytest

from pipeline.core.outcomes import RunEnd
from pipeline.errors import NoStorage, NothingToDo
from pipeline.files import atomic, journal
from tests.helpers.bare import Bare
from tests.helpers.inside import AGENTS, Inside, agent
from tests.helpers.project import wait_for

FLOW = """\
version: 1
workflows:
  main:
    inputs: {idea: {required: false}}
    stages:
      a: {run: "seq 20000 > a.txt; echo x >> ../called; while [ -e ../hold ]; do sleep 0.05; done; seq 9000", writes: [a.txt]}
      b: {run: "wc -l < a.txt > b.txt", writes: [b.txt], needs: [a]}
      out: {publish: {}, needs: [b]}
"""
KINDS = {"full": errno.ENOSPC, "failing": errno.EIO, "read-only": errno.EROFS}


def paths_made_whole(bare):
    text = (bare.root / "agents" / "flow.yaml").read_text()
    (bare.root / "agents" / "flow.yaml").write_text(text.replace("../", f"{bare.root.parent}/"))
    bare.commit("Whole paths")


@pytest.fixture
def small_disk(tmp_path):
    """A small file system for the state folder, a little larger than what a run asks for."""
    folder = tmp_path / "state"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"a small file system needs the right to mount: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder):
    with (folder / "filler").open("wb") as file:
        free_bytes = shutil.disk_usage(folder).free
        os.posix_fallocate(file.fileno(), 0, free_bytes)


def test_a_full_disk_parks_the_run_and_what_was_paid_for_is_taken_up(tmp_path, small_disk):
    bare = Bare(tmp_path, FLOW)
    paths_made_whole(bare)
    hold = tmp_path / "hold"
    hold.touch()
    process = bare.start("trigger_workflow", "main")
    wait_for((tmp_path / "called").exists, "the first stage")
    fill(small_disk)
    hold.unlink()
    _, err = process.communicate(timeout=90)
    assert process.returncode == 75, err
    assert "Traceback" not in err
    assert "No space left on device" in err
    (small_disk / "filler").unlink()
    again = bare.run("pipeline", "resume")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "called").read_text() == "x\n", "paid once"


class Disk:
    """Counts what is written, and fails from one write on until it is mended.

    With `beside` the disk of the journal is another one, which is sound: only what the threads of
    the stages write fails.
    """

    def __init__(self, monkeypatch, number, code, *, beside):
        self.number, self.code, self.count, self.is_mended = number, code, 0, False
        self.beside = beside
        for module, name in ((atomic, "write_bytes"), (os, "write"), (shutil, "copyfile")):
            monkeypatch.setattr(module, name, self._failing(getattr(module, name)))
        monkeypatch.setattr(journal, "_SYNC", self._failing(journal._SYNC))

    def _failing(self, real):
        def write(*arguments, **keywords):
            if self.beside and threading.current_thread() is threading.main_thread():
                return real(*arguments, **keywords)
            self.count += 1
            if not self.is_mended and self.count >= self.number:
                raise OSError(self.code, os.strerror(self.code), "a file")
            return real(*arguments, **keywords)

        return write


def works_to_its_end(folder, monkeypatch, number, kind, *, beside=False):
    """Let a run meet the fault at one write, mend the disk, and go on; return whether it met it."""
    called = folder / "called"
    line = agent("a", f'echo x >> {called}; echo 1 > "src/new.py"', writes=["src/**"])
    inside = Inside(folder, monkeypatch, line, AGENTS)
    run = inside.start()
    with monkeypatch.context() as patched:
        disk = Disk(patched, number, KINDS[kind], beside=beside)
        try:
            end = inside.work(run).end
        except (OSError, NoStorage):
            end = None
        disk.is_mended = True
        while end is None:
            with suppress(NothingToDo):  # the fault came after the last event
                inside.work(run)
            end = inside.state(run).end
    assert end is RunEnd.DONE
    assert called.read_text() == "x\n", f"write {number}: paid twice"
    return disk.count >= number


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[] if kind == "full" else [pytest.mark.slow]) for kind in KINDS],
)
def test_a_fault_at_any_write_of_a_run_loses_nothing_and_pays_nothing_twice(
    tmp_path, monkeypatch, kind
):
    number = 1
    while works_to_its_end(tmp_path / str(number), monkeypatch, number, kind):
        number += 1 if number < 8 else 4
    assert number > 20, "there are more writes than that"


def test_a_fault_beside_the_journal_fails_no_stage(tmp_path, monkeypatch):
    number = 1
    while works_to_its_end(tmp_path / str(number), monkeypatch, number, "full", beside=True):
        number += 1
    assert number > 3, "a stage writes more than that"


def in_the_way(bare, name, how):
    path = bare.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if how == "file":
        path.write_text("a file\n")
    elif how == "folder":
        path.mkdir()
    elif how == "link out":
        outside = bare.root.parent / "outside"
        outside.mkdir()
        path.symlink_to(outside)
    elif how == "link to nothing":
        path.symlink_to("nowhere")
    elif how == "tracked":
        path.symlink_to("runs/none")
        bare.git("add", "-f", name)
        bare.git("commit", "-qm", "Track it")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("docs", "file"),
        ("docs/status", "file"),
        ("docs/status/runs", "file"),
        (".locks", "file"),
        (".triggers", "file"),
        ("docs/plans", "file"),
        ("docs", "link out"),
        ("docs/status", "link out"),
        (".locks", "link out"),
        ("docs/plans/runs", "link out"),
        (".locks", "link to nothing"),
        ("docs/status/latest", "folder"),
        ("docs/status/latest", "tracked"),
    ],
)
def test_what_is_in_the_way_of_run_folders_is_refused_before_a_run(tmp_path, name, how):
    bare = Bare(tmp_path, FLOW)
    in_the_way(bare, name, how)
    done = bare.run("trigger_workflow", "main")
    assert done.returncode == 2
    assert f"error: run folders: {name} is " in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("outside/*")) == []
    assert not (tmp_path / "called").exists()
    assert "✗ run folders" in bare.run("pipeline", "doctor", "--quick").stdout


@pytest.mark.parametrize("name", ["state", "state/repos"])
def test_a_file_in_place_of_the_state_folder_is_named(tmp_path, name):
    bare = Bare(tmp_path, FLOW)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("a file\n")
    for command in (("trigger_workflow", "main"), ("pipeline", "doctor")):
        done = bare.run(*command)
        assert done.returncode == 2
        assert str(tmp_path / "state") in done.stderr
        assert "Traceback" not in done.stderr


def test_an_idea_file_that_is_a_folder_is_named(tmp_path):
    bare = Bare(tmp_path, FLOW)
    done = bare.run("trigger_workflow", "main", "--idea-file", "src")
    assert done.returncode == 2
    assert "src" in done.stderr
    assert "Traceback" not in done.stderr


def test_publishing_too_early_is_refused_and_the_run_is_as_before(tmp_path):
    bare = Bare(tmp_path, FLOW.replace('b: {run: "', 'b: {run: "false; '))
    paths_made_whole(bare)
    assert bare.run("trigger_workflow", "main").returncode == 1
    before = bare.events()
    run = bare.newest()
    done = bare.run("invoke_agent", "out", "--run-id", run)
    assert done.returncode == 2
    assert "out publishes what b have passed, and b is failed" in done.stderr
    assert f"pipeline resume {run}" in done.stderr
    assert bare.events() == before
