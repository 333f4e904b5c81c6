"""A laptop that sleeps: deadlines count the time that it was awake, and nothing is ended for having
slept.
"""

import os
from pathlib import Path

import msgspec
import pytest

from pipeline.errors import Busy
from pipeline.files import locks
from pipeline.files.clocks import Deadline, awake_s
from pipeline.process.spec import RECORD_FILE, CommandEnding, ExitRecord, LaunchSpec
from tests.files.processes import line, output_of, python, tell
from tests.helpers.laptop import NIGHT_S, Laptop

SHIM = """
import os, signal, socket, sys
import msgspec, pytest
from pipeline.process import shim
from pipeline.process.spec import LaunchSpec
from tests.helpers.laptop import Laptop

spec, go, slept, worked, cancel = sys.argv[1:]
ours, theirs = socket.socketpair()
laptop, looks = Laptop(), 0


def clock():
    global looks
    looks += 1
    if looks == 6:
        os.write(ours.fileno(), cancel.encode())
    if looks == 12:
        laptop.sleep(float(slept))
        laptop.work(float(worked))
    if looks == 24:
        os.write(descriptor, b"go\\n")
    return laptop.awake_s()


os.mkfifo(go)
descriptor = os.open(go, os.O_RDWR)
with pytest.MonkeyPatch.context() as patch:
    laptop.take_over(patch)
    shim.run(msgspec.json.decode(spec, type=LaunchSpec), theirs, clock)
"""
"""The shim of one command. At its twelfth look at the clock the machine has slept and worked; at
its twenty-fourth the command is told to go on, if it is still there.
"""
COMMAND = """trap 'echo no' TERM; until read line; do :; done < "$GO"; echo went on"""
"""Waits to be told, and does not let itself be ended politely."""


def ending(
    folder: Path, limits: dict[str, float], *, slept_s: float, worked_s: float, cancel: bool = False
) -> ExitRecord:
    """Run the command under a shim on a laptop that sleeps and works in the middle of it."""
    (folder / "attempt").mkdir()
    spec = LaunchSpec(
        argv=("sh", "-c", COMMAND), cwd=str(folder), folder=str(folder / "attempt"), portable=True,
        env={"PATH": os.environ["PATH"], "GO": str(folder / "go")},
        timeout_s=1e9, idle_timeout_s=1e9, grace_s=1e9,
    )  # fmt: skip
    spec = msgspec.structs.replace(spec, **limits)
    word = "c" if cancel else ""
    output_of(SHIM, msgspec.json.encode(spec).decode(), folder / "go", slept_s, worked_s, word)
    return msgspec.json.decode((folder / "attempt" / RECORD_FILE).read_bytes(), type=ExitRecord)


LIMITS = [("timeout_s", CommandEnding.TIMEOUT), ("idle_timeout_s", CommandEnding.IDLE)]


@pytest.mark.parametrize(("limit", "end"), LIMITS)
def test_a_command_is_not_ended_for_a_night_in_which_the_machine_slept(
    tmp_path: Path, limit: str, end: CommandEnding
) -> None:
    record = ending(tmp_path, {limit: 60.0}, slept_s=NIGHT_S, worked_s=1.0)
    assert (record.ending, record.code, record.duration_s) == (CommandEnding.EXITED, 0, 1.0)


@pytest.mark.parametrize(("limit", "end"), LIMITS)
def test_a_command_is_ended_for_as_long_a_time_in_which_the_machine_was_awake(
    tmp_path: Path, limit: str, end: CommandEnding
) -> None:
    record = ending(tmp_path, {limit: 60.0, "grace_s": 0.0}, slept_s=0.0, worked_s=60.0)
    assert record.ending is end


def test_the_grace_of_a_command_that_is_to_end_counts_awake_time(tmp_path: Path) -> None:
    (tmp_path / "night").mkdir()
    (tmp_path / "day").mkdir()
    night = ending(tmp_path / "night", {"grace_s": 5.0}, slept_s=NIGHT_S, worked_s=1.0, cancel=True)
    day = ending(tmp_path / "day", {"grace_s": 5.0}, slept_s=0.0, worked_s=5.0, cancel=True)
    assert (night.ending, night.code) == (CommandEnding.CANCELLED, 0)
    assert (day.ending, day.code) == (CommandEnding.CANCELLED, -9)


HOLDER = """
import sys
from pathlib import Path
from pipeline.files.locks import hold

with hold([Path(sys.argv[1])], run_id="r", agent="a", stage="s", timeout_s=0.0):
    print("holds", flush=True)
    sys.stdin.readline()
print("let go", flush=True)
"""


@pytest.mark.parametrize("asleep", [True, False])
def test_who_waits_for_a_lock_waits_in_awake_time(tmp_path: Path, asleep: bool) -> None:
    laptop, path = Laptop(), tmp_path / "one.lock"

    def clock() -> float:
        """Begin to wait; then comes the night, or a long day, in which the holder lets go."""
        before = laptop.awake_s()
        if asleep:
            laptop.sleep()
            tell(child, "")
            line(child)
        else:
            laptop.work(NIGHT_S)
        return before

    with python(HOLDER, path) as child:
        assert line(child) == "holds"
        waiting = locks.hold([path], run_id="r", agent="b", stage="s", timeout_s=60.0, clock=clock)
        if asleep:
            with waiting:
                assert laptop.awake_s() == Laptop().awake_s()
        else:
            with pytest.raises(Busy, match="waited 60 s"), waiting:
                pass


def test_awake_time_stands_still_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    laptop = Laptop()
    laptop.take_over(monkeypatch)
    before, deadline = awake_s(), Deadline(60.0)
    laptop.sleep()
    laptop.work(1.0)
    assert (awake_s() - before, deadline.left_s) == (1.0, 59.0)
    laptop.work(60.0)
    assert deadline.left_s == 0.0
