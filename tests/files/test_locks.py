"""Locks between real processes: held, waited for, killed, looked at."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen

import pytest

from pipeline.errors import Busy
from pipeline.files.locks import hold, inspect, inspect_all
from tests.files.processes import line, python, tell

RUN = "20260102-030405-0a1b2c3d"
OTHER = "20260102-030405-ffffffff"
HOLDER = """
import sys
from pathlib import Path
from pipeline.files.locks import hold

*paths, run, timeout = sys.argv[1:]
print("asks", flush=True)
with hold([Path(path) for path in paths], run_id=run, agent="developer", stage="build", timeout_s=float(timeout)):
    print("holds", flush=True)
    sys.stdin.readline()
print("let go", flush=True)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / ".locks" / "src_writer.lock"


@contextmanager
def holder(*paths: Path, run: str = RUN) -> Iterator[Popen[str]]:
    with python(HOLDER, *paths, run, 60) as child:
        assert line(child) == "asks"
        assert line(child) == "holds"
        yield child


@contextmanager
def held(*paths: Path, timeout_s: float = 0.0) -> Iterator[None]:
    with hold(paths, run_id=OTHER, agent="verifier", stage="verify", timeout_s=timeout_s):
        yield


def test_the_record_of_a_lock_says_who_holds_it(lock: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    with holder(lock) as child:
        record = json.loads(lock.read_bytes())
    assert before <= datetime.fromisoformat(record.pop("timestamp")) <= datetime.now(UTC)
    host = os.uname().nodename
    assert record == {
        "run_id": RUN,
        "agent": "developer",
        "pid": child.pid,
        "stage": "build",
        "host": host,
    }


def test_a_shorter_record_leaves_nothing_of_a_longer_one(lock: Path) -> None:
    with hold([lock], run_id=RUN, agent="x" * 200, stage="y" * 200, timeout_s=0):
        pass
    with held(lock):
        assert json.loads(lock.read_bytes())["agent"] == "verifier"


def test_a_look_tells_that_a_lock_is_held_and_by_whom(lock: Path) -> None:
    with holder(lock) as child:
        view = inspect(lock)
    assert (view.name, view.held) == ("src_writer", True)
    assert view.holder is not None
    assert (view.holder.run_id, view.holder.pid) == (RUN, child.pid)


def test_a_lock_that_was_let_go_is_free_and_names_its_last_holder(lock: Path) -> None:
    with holder(lock) as child:
        tell(child, "let go")
        assert line(child) == "let go"
        view = inspect(lock)
    assert not view.held
    assert view.holder is not None
    assert view.holder.run_id == RUN


def test_a_dead_holder_frees_its_lock(lock: Path) -> None:
    with holder(lock) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert not inspect(lock).held
        with held(lock):
            assert json.loads(lock.read_bytes())["run_id"] == OTHER


def test_what_a_dead_holder_started_does_not_keep_its_lock(lock: Path) -> None:
    script = HOLDER.replace(
        'print("holds", flush=True)',
        'import subprocess; print(subprocess.Popen(["sleep", "60"], close_fds=False).pid, flush=True)',
    )
    with python(script, lock, RUN, 60) as child:
        assert line(child) == "asks"
        orphan = int(line(child))
        try:
            child.kill()
            child.wait()
            assert not inspect(lock).held
        finally:
            os.kill(orphan, signal.SIGKILL)


def test_a_second_one_waits_and_is_then_told_who_holds_the_lock_and_what_to_do(lock: Path) -> None:
    with holder(lock) as child:
        with pytest.raises(Busy) as caught, held(lock, timeout_s=0.05):
            pass
        since = json.loads(lock.read_bytes())["timestamp"]
    assert caught.value.what == (
        f"the lock src_writer is held by developer of run {RUN} (pid {child.pid}) since "
        f"{since}; waited 0.05 s"
    )
    assert caught.value.hint == (
        f"Wait longer: AGENT_LOCK_TIMEOUT=300; or stop the holder: pipeline cancel {RUN}"
    )
    assert caught.value.exit_code == 75


def test_a_refused_one_leaves_the_holders_record_alone(lock: Path) -> None:
    with holder(lock):
        before = lock.read_bytes()
        with pytest.raises(Busy), held(lock):
            pass
        assert lock.read_bytes() == before


def test_a_holder_without_a_record_is_called_so(lock: Path) -> None:
    with holder(lock):
        lock.write_text("not a record")
        with (
            pytest.raises(Busy, match="held by a process that left no record") as caught,
            held(lock),
        ):
            pass
        assert "pipeline locks" in caught.value.hint
        assert inspect(lock).holder is None


def test_one_that_waits_gets_the_lock_when_it_is_free(lock: Path) -> None:
    with holder(lock) as first, python(HOLDER, lock, OTHER, 60) as second:
        assert line(second) == "asks"
        tell(first, "let go")
        assert line(second) == "holds"
        assert json.loads(lock.read_bytes())["run_id"] == OTHER


def test_one_that_waits_gets_the_lock_when_its_holder_is_killed(lock: Path) -> None:
    with holder(lock) as first, python(HOLDER, lock, OTHER, 60) as second:
        assert line(second) == "asks"
        first.kill()
        assert line(second) == "holds"


def test_one_that_does_not_get_all_its_locks_holds_none(tmp_path: Path) -> None:
    free, busy = tmp_path / "a.lock", tmp_path / "b.lock"
    with holder(busy):
        with pytest.raises(Busy), held(free, busy):
            pass
        assert not inspect(free).held


def test_all_locks_of_a_stage_are_held_together(tmp_path: Path) -> None:
    first, second = tmp_path / "a.lock", tmp_path / "b.lock"
    with holder(first, second):
        assert [view.held for view in inspect_all(tmp_path)] == [True, True]


def test_locks_are_taken_in_sorted_order_whatever_order_they_are_named_in(tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"{name}.lock" for name in "abc")
    with holder(second):
        with pytest.raises(Busy, match="the lock b is held"), held(third, second, first):
            pass
        assert first.exists()
        assert not third.exists()


GRABBER = """
import sys
from pathlib import Path
from pipeline.files.locks import hold

paths = [Path(path) for path in sys.argv[1:]]
with hold(paths, run_id="r", agent="a", stage="s", timeout_s=60):
    print("ready", flush=True)
sys.stdin.readline()
for _ in range(300):
    with hold(paths, run_id="r", agent="a", stage="s", timeout_s=60):
        pass
print("done", flush=True)
"""


def test_two_that_name_the_same_locks_the_other_way_round_do_not_block_each_other(
    tmp_path: Path,
) -> None:
    one, other = tmp_path / "a.lock", tmp_path / "b.lock"
    with python(GRABBER, one, other) as first, python(GRABBER, other, one) as second:
        assert line(first) == line(second) == "ready"
        tell(first, "go")
        tell(second, "go")
        assert line(first) == line(second) == "done"


def test_a_lock_that_is_named_twice_is_taken_once(lock: Path) -> None:
    with held(lock, lock):
        assert inspect(lock).held


def test_the_lock_file_stays_and_stays_the_same_one(lock: Path) -> None:
    with held(lock):
        inode = lock.stat().st_ino
    inspect(lock)
    with held(lock):
        assert lock.stat().st_ino == inode
    assert lock.stat().st_ino == inode


def test_a_look_changes_nothing(lock: Path) -> None:
    with holder(lock):
        before = lock.read_bytes()
        for _ in range(100):
            assert inspect(lock).held
        assert lock.read_bytes() == before


def test_a_look_at_a_lock_that_nobody_ever_took_makes_no_file(tmp_path: Path) -> None:
    assert not inspect(tmp_path / "never.lock").held
    assert not (tmp_path / "never.lock").exists()


LOOKER = """
import sys
from pathlib import Path
from pipeline.files.locks import inspect

path = Path(sys.argv[1])
print("looks", flush=True)
while True:
    inspect(path)
"""


def test_a_look_is_not_taken_for_a_holder_by_another_look(lock: Path) -> None:
    with held(lock):
        pass
    with python(LOOKER, lock) as looker:
        assert line(looker) == "looks"
        assert not any(inspect(lock).held for _ in range(2000))


def test_looks_without_end_keep_nobody_from_taking_the_lock(lock: Path) -> None:
    with held(lock):
        pass
    with python(LOOKER, lock) as looker:
        assert line(looker) == "looks"
        for _ in range(200):
            with held(lock, timeout_s=60):
                pass


def test_all_locks_of_a_folder_are_seen_by_name(tmp_path: Path) -> None:
    with held(tmp_path / "b.lock"), held(tmp_path / "a.lock"):
        (tmp_path / "README.md").write_text("not a lock")
        assert [(view.name, view.held) for view in inspect_all(tmp_path)] == [
            ("a", True),
            ("b", True),
        ]


def test_a_folder_that_is_not_there_has_no_locks(tmp_path: Path) -> None:
    assert inspect_all(tmp_path / "none") == []


MANY = """
import os, sys, time
from pathlib import Path
from pipeline.files.locks import hold

path, book, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
file = os.open(book, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(times):
    os.write(file, f"ask {os.getpid()}\\n".encode())
    with hold([path], run_id="20260102-030405-0a1b2c3d", agent="a", stage="s", timeout_s=300):
        os.write(file, f"in {os.getpid()}\\n".encode())
        time.sleep(0.005)
        os.write(file, f"out {os.getpid()}\\n".encode())
print("done", flush=True)
"""


@pytest.mark.slow
def test_of_sixty_four_that_want_one_lock_none_meets_another_and_none_is_passed_over(
    lock: Path, tmp_path: Path
) -> None:
    book, count, times = tmp_path / "book", 64, 3
    with ExitStack() as stack:
        children = [stack.enter_context(python(MANY, lock, book, times)) for _ in range(count)]
        assert {line(child) for child in children} == {"ready"}
        for child in children:
            tell(child, "go")
        children.pop().kill()  # one that waits, or holds, may die
        assert {line(child) for child in children} == {"done"}
    events = [entry.split() for entry in book.read_text().splitlines()]
    turns = [(word, pid) for word, pid in events if word != "ask"]
    ins = [pid for word, pid in turns if word == "in"]
    killed = {pid for pid in ins if ins.count(pid) < times}
    inside = ""
    for word, pid in turns:
        if word == "in":
            assert not inside or inside in killed, f"{pid} is in beside {inside}"
        inside = pid if word == "in" else ""
    assert len(ins) >= (count - 1) * times
    asked: dict[str, int] = {}
    longest = taken = 0
    for word, pid in events:
        taken += word == "in"
        if word == "ask":
            asked[pid] = taken
        elif word == "in":
            longest = max(longest, taken - asked[pid])
    assert longest <= 4 * count, "somebody was passed over: so many turns of others came first"
