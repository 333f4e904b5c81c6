"""The journal on a real disk: torn, damaged, out of room, killed."""

import random
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.core.events import Event, Noted, RunOpened
from pipeline.errors import InternalError
from pipeline.files.journal import Journal, read
from tests.files.processes import line, output_of, python

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KILLS = 30


def notes(first: int, count: int) -> list[Event]:
    return [Noted(at=AT, text=f"event {number}") for number in range(first, first + count)]


def written(path: Path, *batches: list[Event]) -> bytes:
    journal = Journal(path)
    for batch in batches:
        journal.append(batch, durable=True)
    journal.close()
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_events_come_back_in_their_order(path: Path) -> None:
    written(path, notes(1, 2), notes(3, 1))
    assert read(path) == notes(1, 3)


def test_a_journal_that_is_opened_again_goes_on_where_it_was(path: Path) -> None:
    written(path, notes(1, 2))
    journal = Journal(path)
    assert journal.events == notes(1, 2)
    journal.append(notes(3, 1), durable=False)
    journal.close()
    assert read(path) == notes(1, 3)


def test_a_journal_that_is_not_there_is_empty(path: Path) -> None:
    assert read(path) == []
    assert not path.exists()


def test_a_line_is_a_checksum_a_number_and_an_object(path: Path) -> None:
    data = written(path, [RunOpened(at=AT, pid=7)])
    assert data == b'3c39ae84 1 {"event":"run_opened","at":"2026-01-02T03:04:05Z","pid":7}\n'


def test_a_journal_may_be_closed_twice(path: Path) -> None:
    journal = Journal(path)
    journal.close()
    journal.close()


def test_a_tail_torn_at_any_byte_is_cut_and_nothing_before_it_is_lost(path: Path) -> None:
    whole = written(path, notes(1, 2))
    torn = written(path, notes(3, 1))
    for cut in range(len(whole), len(torn)):
        path.write_bytes(torn[:cut])
        assert read(path) == notes(1, 2)
        assert written(path, notes(3, 1)) == torn


def test_a_batch_torn_at_any_byte_keeps_its_whole_lines(path: Path) -> None:
    data = written(path, notes(1, 3))
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        assert read(path) == notes(1, data[:cut].count(b"\n"))


def test_reading_cuts_nothing(path: Path) -> None:
    torn = written(path, notes(1, 2))[:-5]
    path.write_bytes(torn)
    read(path)
    assert path.read_bytes() == torn


def test_a_tail_of_nothing_but_zeros_is_cut(path: Path) -> None:
    data = written(path, notes(1, 2))
    path.write_bytes(data + bytes(300))
    assert read(path) == notes(1, 2)


def test_any_damage_before_the_last_line_is_refused_and_nothing_is_changed(path: Path) -> None:
    data = written(path, notes(1, 4))
    last = data.rindex(b"\n", 0, -1) + 1
    for place in range(last):
        damaged = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        path.write_bytes(damaged)
        with pytest.raises(InternalError):
            Journal(path)
        assert path.read_bytes() == damaged


def test_damage_is_told_with_its_place_and_the_way_to_mend_it(path: Path) -> None:
    data = written(path, notes(1, 3))
    second = data.index(b"\n") + 1
    path.write_bytes(data.replace(b"event 2", b"Event 2"))
    with pytest.raises(InternalError) as caught:
        Journal(path)
    assert (
        caught.value.what == f"{path} is damaged at byte {second} (event 2): its checksum is wrong"
    )
    assert "truncate" not in caught.value.hint, "what is cut off may have been paid for"
    assert caught.value.hint.endswith("pipeline rollback RUN")
    assert caught.value.exit_code == 101


def test_a_line_that_is_missing_from_the_middle_is_damage(path: Path) -> None:
    lines = written(path, notes(1, 4)).splitlines(keepends=True)
    path.write_bytes(lines[0] + b"".join(lines[2:]))
    with pytest.raises(InternalError):
        read(path)


def test_a_line_that_stands_twice_is_damage(path: Path) -> None:
    lines = written(path, notes(1, 3)).splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[0] + lines[1])
    with pytest.raises(InternalError):
        read(path)


def test_a_last_line_that_is_whole_but_wrong_is_damage_not_a_torn_tail(path: Path) -> None:
    damaged = written(path, notes(1, 3)).replace(b"event 3", b"Event 3")
    path.write_bytes(damaged)
    with pytest.raises(InternalError):
        Journal(path)
    assert path.read_bytes() == damaged


def test_an_event_of_a_newer_release_is_refused_and_kept(path: Path) -> None:
    body = b'2 {"event":"moon_landed","at":"2026-01-02T03:04:05Z"}'
    newer = written(path, notes(1, 1)) + b"%08x %s\n" % (zlib.crc32(body), body)
    path.write_bytes(newer)
    with pytest.raises(InternalError):
        Journal(path)
    assert path.read_bytes() == newer


def test_two_readers_and_a_writer_do_not_disturb_each_other(path: Path) -> None:
    journal = Journal(path)
    for number in range(1, 20):
        journal.append(notes(number, 1), durable=False)
        assert read(path) == notes(1, number)
    journal.close()


# A disk without room: the kernel stops writes at a file size, in a process of its own.

OUT_OF_ROOM = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from pipeline.core.events import Noted
from pipeline.errors import NoStorage
from pipeline.files.journal import Journal

path, room = Path(sys.argv[1]), int(sys.argv[2])
journal = Journal(path)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
number = 0
try:
    while True:
        journal.append([Noted(at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), text=f"event {number + 1}")], durable=True)
        number += 1
except NoStorage as exc:
    print(number, exc.what, exc.hint, sep="\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
if sys.argv[3] == "go on":
    journal.append([Noted(at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), text=f"event {number + 1}")], durable=True)
"""


def test_a_full_disk_leaves_what_was_acknowledged_and_nothing_half(path: Path) -> None:
    acknowledged, what, hint = output_of(OUT_OF_ROOM, path, 1000, "stop").splitlines()
    assert int(acknowledged) > 3
    assert read(path) == notes(1, int(acknowledged))
    assert path.read_bytes().endswith(b"\n")
    assert what.startswith(f"{path} cannot be written: ")
    assert "Make room" in hint


def test_a_journal_goes_on_when_the_disk_has_room_again(path: Path) -> None:
    acknowledged = int(output_of(OUT_OF_ROOM, path, 1000, "go on").splitlines()[0]) + 1
    assert read(path) == notes(1, acknowledged)


# Killed writers.

WRITER = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from pipeline.core.events import Noted
from pipeline.files.journal import Journal

journal = Journal(Path(sys.argv[1]))
number = len(journal.events)
while True:
    size = number % 3 + 1
    batch = [
        Noted(at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), text=f"event {number + step}") for step in range(1, size + 1)
    ]
    journal.append(batch, durable=True)
    number += size
    os.write(1, b"%d\\n" % number)
"""


def test_a_killed_writer_never_loses_an_acknowledged_event(path: Path) -> None:
    chance = random.Random(20260102)  # noqa: S311 - which moment a writer is killed at
    acknowledged = 0
    for _ in range(KILLS):
        with python(WRITER, path) as writer:
            for _ in range(chance.randint(1, 40)):
                acknowledged = int(line(writer))
            writer.kill()
            while later := line(writer):
                acknowledged = int(later)
        found = read(path)
        assert len(found) >= acknowledged
        assert found == notes(1, len(found))
