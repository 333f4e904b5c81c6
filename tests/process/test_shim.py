"""Commands under shims: real processes, real signals, real orphans."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import pipeline
from pipeline.errors import InternalError
from pipeline.process import launch
from pipeline.process.launch import Attempt, Launcher
from pipeline.process.spec import RECORD_FILE, STDOUT, CommandEnding, LaunchSpec, OnOrphan
from tests.helpers.project import wait_for

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=[False, True], ids=["linux", "portable"])
def portable(request):
    if request.param is False and not sys.platform.startswith("linux"):
        pytest.skip("subreaper and pidfd are Linux's")
    return request.param


@pytest.fixture
def launcher(tmp_path):
    with Launcher(tmp_path / "launcher.log") as one:
        yield one
    assert (tmp_path / "launcher.log").read_text() == ""


def spec(folder: Path, *argv: str, **more) -> LaunchSpec:
    values = {"timeout_s": 30.0, "idle_timeout_s": 30.0, "grace_s": 0.3, "cwd": str(folder), **more}
    return LaunchSpec(
        argv=argv, folder=str(folder / "attempt"), env={"PATH": os.environ["PATH"]}, **values
    )


def alive(marker: str) -> bool:
    return subprocess.run(["pgrep", "-f", marker], capture_output=True, check=False).returncode == 0


def test_exit_status_and_output_are_kept(launcher, tmp_path, portable):
    record = launcher.launch(
        spec(tmp_path, "sh", "-c", "echo out; echo err >&2; exit 3", portable=portable)
    ).wait()
    assert record is not None
    assert (record.ending, record.code) == (CommandEnding.EXITED, 3)
    assert (tmp_path / "attempt" / "stdout.log").read_text() == "out\n"
    assert (tmp_path / "attempt" / "stderr.log").read_text() == "err\n"


def test_the_prompt_comes_on_standard_input_and_then_ends(launcher, tmp_path, portable):
    (tmp_path / "prompt").write_text("x" * 300_000)
    record = launcher.launch(
        spec(tmp_path, "wc", "-c", stdin=str(tmp_path / "prompt"), portable=portable)
    ).wait()
    assert record is not None
    assert (tmp_path / "attempt" / STDOUT).read_text().strip() == "300000"


def test_a_command_that_waits_for_input_gets_none(launcher, tmp_path):
    record = launcher.launch(spec(tmp_path, "sh", "-c", "read x || exit 7; cat < /dev/tty")).wait()
    assert record is not None
    assert record.code == 7


def test_a_missing_command_is_named(launcher, tmp_path):
    record = launcher.launch(spec(tmp_path, "no-such-command")).wait()
    assert record is not None
    assert record.ending is CommandEnding.NOT_FOUND
    assert "no-such-command" in record.reason


def test_a_command_that_ignores_term_is_killed_after_the_grace(launcher, tmp_path, portable):
    record = launcher.launch(
        spec(
            tmp_path,
            "sh",
            "-c",
            "trap '' TERM; while :; do sleep 1; done",
            timeout_s=0.2,
            portable=portable,
        )
    ).wait()
    assert record is not None
    assert (record.ending, record.code) == (CommandEnding.TIMEOUT, -signal.SIGKILL)


def test_silence_beyond_the_idle_limit_ends_it_and_output_does_not(launcher, tmp_path):
    silent = launcher.launch(spec(tmp_path, "sleep", "60", idle_timeout_s=0.3)).wait()
    assert silent is not None
    assert silent.ending is CommandEnding.IDLE
    talking = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done"
    busy = launcher.launch(
        spec(tmp_path / "b", "sh", "-c", talking, idle_timeout_s=0.6, cwd=str(tmp_path))
    ).wait()
    assert busy is not None
    assert busy.ending is CommandEnding.EXITED


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_resident_memory_is_bounded_and_reserved_memory_is_not(launcher, tmp_path):
    limit = {"memory_max_bytes": 150_000_000, "cwd": str(tmp_path)}
    uses = "import time; held = bytearray(400_000_000); time.sleep(60)"
    greedy = launcher.launch(spec(tmp_path / "a", sys.executable, "-c", uses, **limit)).wait()
    assert greedy is not None
    assert greedy.ending is CommandEnding.MEMORY
    reserves = "import mmap; held = mmap.mmap(-1, 2_000_000_000); print(len(held))"
    modest = launcher.launch(spec(tmp_path / "b", sys.executable, "-c", reserves, **limit)).wait()
    assert modest is not None
    assert modest.ending is CommandEnding.EXITED


def test_a_limit_of_months_is_no_limit_that_breaks_the_shim(launcher, tmp_path):
    months_s = 90 * 24 * 3600.0
    done = launcher.launch(
        spec(tmp_path, "true", timeout_s=months_s, idle_timeout_s=months_s)
    ).wait()
    assert done is not None
    assert done.ending is CommandEnding.EXITED


@pytest.mark.parametrize(
    "escape",
    [
        "sleep {mark} &",
        "setsid sleep {mark} &",
        "(setsid sh -c 'setsid sleep {mark} &') &",
        "setsid sh -c \"trap '' TERM INT HUP; sleep {mark}\" &",
    ],
)
def test_nothing_that_a_command_starts_outlives_it(launcher, tmp_path, escape):
    mark = f"7{os.getpid() % 1000:03d}{abs(hash(escape)) % 1000:03d}"
    code = escape.format(mark=mark) + " sleep 0.1"
    record = launcher.launch(spec(tmp_path, "sh", "-c", code)).wait()
    assert record is not None
    assert record.ending is CommandEnding.EXITED
    assert record.swept >= 1
    assert not alive(f"sleep {mark}")


def test_a_cancel_ends_the_whole_tree(launcher, tmp_path, portable):
    attempt = launcher.launch(
        spec(tmp_path, "sh", "-c", "echo go; sleep 600 & wait", portable=portable)
    )
    wait_for(
        lambda: (
            (tmp_path / "attempt" / STDOUT).exists()
            and (tmp_path / "attempt" / STDOUT).read_text() == "go\n"
        ),
        "it runs",
    )
    attempt.cancel()
    attempt.cancel()
    record = attempt.wait()
    assert record is not None
    assert record.ending is CommandEnding.CANCELLED


def test_output_beyond_the_cap_is_counted_and_dropped(launcher, tmp_path):
    code = "import sys; sys.stdout.write('x' * 3_000_000)"
    record = launcher.launch(
        spec(tmp_path, sys.executable, "-c", code, output_cap_bytes=1_000_000)
    ).wait()
    assert record is not None
    assert record.dropped_bytes == 2_000_000
    assert b"dropped" in (tmp_path / "attempt" / STDOUT).read_bytes()[1_000_000:]


def test_a_grandchild_that_keeps_the_pipe_open_does_not_hold_the_stage(launcher, tmp_path):
    record = launcher.launch(spec(tmp_path, "sh", "-c", "sleep 600 & exit 0")).wait()
    assert record is not None
    assert (record.ending, record.code) == (CommandEnding.EXITED, 0)


def test_a_held_lock_ends_the_wait_with_its_holders_name(launcher, tmp_path):
    lock = (str(tmp_path / "locks" / "src.lock"),)
    more = {"locks": lock, "run_id": "20260101-000000-aaaa", "agent": "developer"}
    first = launcher.launch(spec(tmp_path, "sh", "-c", "echo go; sleep 600", **more))
    wait_for(
        lambda: (
            (tmp_path / "attempt" / STDOUT).exists()
            and (tmp_path / "attempt" / STDOUT).read_text() == "go\n"
        ),
        "it holds",
    )
    second = launcher.launch(
        spec(tmp_path / "b", "true", cwd=str(tmp_path), locks=lock, lock_timeout_s=0.2)
    ).wait()
    assert second is not None
    assert second.ending is CommandEnding.LOCKED
    assert "held by developer of run 20260101-000000-aaaa" in second.reason
    first.cancel()
    first.wait()
    third = launcher.launch(
        spec(tmp_path / "c", "true", cwd=str(tmp_path), locks=lock, lock_timeout_s=5)
    ).wait()
    assert third is not None
    assert third.ending is CommandEnding.EXITED


def test_many_commands_at_once_each_keep_their_own_output(launcher, tmp_path):
    found: dict[int, str] = {}

    def work(number: int) -> None:
        folder = tmp_path / str(number)
        launcher.launch(spec(folder, "echo", str(number), cwd=str(tmp_path))).wait()
        found[number] = (folder / "attempt" / STDOUT).read_text().strip()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: str(number) for number in range(20)}


def test_a_nursery_is_of_the_package_that_starts_it(tmp_path):
    package = Path(pipeline.__file__).parent
    shutil.copytree(package, tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    nursery = tmp_path / "pipeline" / "process" / "nursery.py"
    nursery.write_text("import sys\n\n\ndef main(_):\n    sys.exit('the copy')\n")
    code = "from pathlib import Path; from pipeline.process.launch import Launcher\n"
    code += "with Launcher(Path('log')):\n    pass\n"
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True)
    assert (tmp_path / "log").read_text() == "the copy\n"


def test_a_dead_nursery_is_a_clear_fault(tmp_path):
    with Launcher(tmp_path / "log") as launcher:
        launcher._process.kill()
        launcher._process.wait()
        with pytest.raises(InternalError, match="starts stages has died"):
            launcher.launch(spec(tmp_path, "true"))


def orphan(tmp_path: Path, on_orphan: OnOrphan, command: str) -> Path:
    """Have another process start a command, and kill that process; return the attempt's folder."""
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom pipeline.process.launch import Launcher\n"
        "from pipeline.process.spec import LaunchSpec, OnOrphan\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "launcher = Launcher(folder / 'log')\n"
        f"attempt = launcher.launch(LaunchSpec(argv=('sh', '-c', {command!r}), "
        "folder=str(folder / 'attempt'), cwd=str(folder),\n"
        "    env=dict(os.environ), timeout_s=60, idle_timeout_s=60, grace_s=0.3, "
        f"on_orphan=OnOrphan({on_orphan.value!r})))\n"
        "print('launched', flush=True)\nsys.stdin.read()\n"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"launched\n"
    output = tmp_path / "attempt" / STDOUT
    wait_for(lambda: output.exists() and output.read_text() == "go\n", "the command runs")
    starter.kill()
    starter.communicate()
    return tmp_path / "attempt"


def test_an_orphan_is_adopted_with_its_result(tmp_path):
    folder = orphan(
        tmp_path,
        OnOrphan.ADOPT,
        f"echo go; while [ ! -e {tmp_path}/go-on ]; do sleep 0.02; done; exit 5",
    )
    assert launch.is_alive(folder)
    (tmp_path / "go-on").touch()
    record = launch.wait_for_orphan(folder, threading.Event())
    assert record is not None
    assert (record.ending, record.code) == (CommandEnding.EXITED, 5)
    assert not launch.is_alive(folder)


def test_an_orphan_that_is_not_wanted_ends_with_its_starter(tmp_path):
    folder = orphan(tmp_path, OnOrphan.KILL, "echo go; sleep 600")
    record = launch.wait_for_orphan(folder, threading.Event())
    assert record is not None
    assert record.ending is CommandEnding.ORPHANED


def test_an_orphan_can_be_ended_by_somebody_else(tmp_path):
    folder = orphan(tmp_path, OnOrphan.ADOPT, "echo go; trap '' TERM; while :; do sleep 1; done")
    launch.end_orphan(folder)
    assert not launch.is_alive(folder)


def test_a_shim_killed_without_a_record_is_lost_and_stays_lost(tmp_path, launcher):
    attempt: Attempt = launcher.launch(spec(tmp_path, "sh", "-c", "echo go; exec sleep 86399"))
    output = tmp_path / "attempt" / STDOUT
    wait_for(lambda: output.exists() and output.read_text() == "go\n", "it runs")
    os.kill(int((tmp_path / "attempt" / "shim.lock").read_text()), signal.SIGKILL)
    assert attempt.wait() is None
    assert launch.wait_for_orphan(tmp_path / "attempt", threading.Event()) is None
    late = launcher.launch(spec(tmp_path, "sh", "-c", "echo again"))
    assert late.wait() is None, "a shim that comes late finds that its attempt was given up"
    assert not (tmp_path / "attempt" / RECORD_FILE).exists()
    subprocess.run(["pkill", "-f", "sleep 86399"], check=False)
