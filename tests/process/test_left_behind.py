"""A shim is killed or stopped: what it watched over does not live on beside the next attempt."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from pipeline.errors import Busy
from pipeline.process import launch
from pipeline.process.launch import Launcher, wait_for_orphan
from pipeline.process.spec import ALIVE_LOCK_FILE, CommandEnding, LaunchSpec
from tests.helpers.project import wait_for

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")

PLAIN = "while :; do echo late >> late.txt; sleep 0.05; done"
HIDES = {
    "not at all": PLAIN,
    "in a session of its own": f"setsid sh -c '{PLAIN}'",
    "twice forked": f"(setsid sh -c '{PLAIN}' &) ; sleep 60",
    "without its environment": f"env -i PATH=$PATH sh -c '{PLAIN}'",
    "without both": f"env -i PATH=$PATH setsid sh -c '{PLAIN}'",
}
NOT_KILLED_LATER = {"without both"}
"""Once the process that would inherit them is dead as well, these carry no mark any more."""


def spec(folder: Path, script: str, **more) -> LaunchSpec:
    (folder / "tree").mkdir(exist_ok=True)
    return LaunchSpec(
        argv=("sh", "-c", script),
        cwd=str(folder / "tree"),
        env={"PATH": os.environ["PATH"], "TMPDIR": str(folder / "attempt" / "home")},
        folder=str(folder / "attempt"),
        timeout_s=more.pop("timeout_s", 60.0),
        idle_timeout_s=60.0,
        grace_s=0.3,
        **more,
    )


def shim_of(folder: Path) -> int:
    path = folder / "attempt" / ALIVE_LOCK_FILE
    wait_for((folder / "tree" / "late.txt").exists, "the first line")
    return int(path.read_text())


def writes(folder: Path) -> bool:
    path = folder / "tree" / "late.txt"
    before = path.stat().st_size
    time.sleep(0.3)
    return path.stat().st_size > before


@pytest.mark.parametrize("how", HIDES)
def test_what_a_killed_shim_leaves_is_dead_before_the_attempt_counts_as_lost(tmp_path, how):
    with Launcher(tmp_path / "launcher.log") as launcher:
        attempt = launcher.launch(spec(tmp_path, HIDES[how]))
        os.kill(shim_of(tmp_path), signal.SIGKILL)
        assert attempt.wait() is None
        assert not writes(tmp_path)


ORPHANS = """
import sys, time, msgspec
from pathlib import Path
from pipeline.process.launch import Launcher
from pipeline.process.spec import LaunchSpec
launcher = Launcher(Path(sys.argv[1]))
print(launcher._process.pid, flush=True)
launcher.launch(msgspec.json.decode(sys.argv[2], type=LaunchSpec))
time.sleep(60)
"""


def killed_with_all_above(folder: Path, script: str) -> None:
    text = msgspec.json.encode(spec(folder, script)).decode()
    argv = [sys.executable, "-c", ORPHANS, str(folder / "launcher.log"), text]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        nursery, shim = int(process.stdout.readline()), shim_of(folder)
        for pid in (process.pid, nursery, shim):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("how", HIDES)
def test_it_is_dead_too_when_pipeline_nursery_and_shim_died_together(tmp_path, how):
    killed_with_all_above(tmp_path, HIDES[how])
    cwd = str(tmp_path / "tree")
    if how not in NOT_KILLED_LATER:
        assert wait_for_orphan(tmp_path / "attempt", threading.Event(), cwd=cwd) is None
        assert not writes(tmp_path)
        return
    with pytest.raises(Busy) as busy:
        wait_for_orphan(tmp_path / "attempt", threading.Event(), cwd=cwd)
    assert "cannot be ended" in busy.value.what
    assert busy.value.hint.startswith("End it yourself: kill -9 ")
    # What it had just started may be gone by itself.
    subprocess.run(busy.value.hint.removeprefix("End it yourself: ").split(), check=False)
    assert wait_for_orphan(tmp_path / "attempt", threading.Event(), cwd=cwd) is None
    assert not writes(tmp_path)


def test_a_person_who_looks_at_the_workspace_is_left_alone(tmp_path):
    (tmp_path / "tree").mkdir()
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path / "tree") as person:
        time.sleep(0.05)
        killed_with_all_above(tmp_path, PLAIN)
        cwd = str(tmp_path / "tree")
        assert wait_for_orphan(tmp_path / "attempt", threading.Event(), cwd=cwd) is None
        assert person.poll() is None
        person.kill()


@pytest.mark.parametrize("adopted", [False, True], ids=["of this process", "of an earlier one"])
def test_the_deadline_of_a_stopped_shim_holds_all_the_same(tmp_path, monkeypatch, adopted):
    monkeypatch.setattr(launch, "_SLACK_S", 1.0)
    with Launcher(tmp_path / "launcher.log") as launcher:
        made = replace(spec(tmp_path, PLAIN, timeout_s=0.5), lock_timeout_s=0.0)
        attempt = launcher.launch(made)
        os.kill(shim_of(tmp_path), signal.SIGSTOP)
        if adopted:
            longest_s = launch.longest_s(0.5, 0.0)
            record = wait_for_orphan(tmp_path / "attempt", threading.Event(), longest_s=longest_s)
            attempt.wait()
        else:
            record = attempt.wait()
        assert record is not None
        assert record.ending is CommandEnding.TIMEOUT
        assert not writes(tmp_path)


@pytest.mark.parametrize("adopted", [False, True], ids=["of this process", "of an earlier one"])
def test_a_stopped_shim_can_be_cancelled(tmp_path, adopted):
    with Launcher(tmp_path / "launcher.log") as launcher:
        attempt = launcher.launch(spec(tmp_path, PLAIN))
        os.kill(shim_of(tmp_path), signal.SIGSTOP)
        if adopted:
            launch.end_orphan(tmp_path / "attempt")
        else:
            attempt.cancel()
        record = attempt.wait()
        assert record is not None
        assert record.ending is CommandEnding.CANCELLED
        assert not writes(tmp_path)
