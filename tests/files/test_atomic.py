"""Whole files or none: with readers beside the writer, without room, and killed."""

import os
import stat
import threading
from pathlib import Path

import pytest

from pipeline.files.atomic import switch_link, write_bytes, write_text
from tests.files.processes import line, output_of, python


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".tmp")]


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "b" / "c.bin", b"\x00\xff")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"\x00\xff"


def test_a_file_that_is_there_is_replaced(tmp_path: Path) -> None:
    write_bytes(tmp_path / "x", b"a longer text")
    write_bytes(tmp_path / "x", b"short", durable=False)
    assert (tmp_path / "x").read_bytes() == b"short"
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("mode", [0o600, 0o755])
def test_a_file_has_the_mode_that_was_asked_for(tmp_path: Path, mode: int) -> None:
    write_bytes(tmp_path / "x", b"", mode=mode)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode


def test_a_secret_is_never_readable_for_others_not_even_half_written(tmp_path: Path) -> None:
    write_bytes(tmp_path / "x", b"old", mode=0o644)
    write_bytes(tmp_path / "x", b"secret", mode=0o600)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600


def test_text_is_utf_8_and_half_letters_become_question_marks(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "größer \ud800!")
    assert (tmp_path / "x").read_bytes() == "größer ?!".encode()


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("untouched")
    (tmp_path / "x").symlink_to("elsewhere")
    write_text(tmp_path / "x", "new")
    assert (tmp_path / "elsewhere").read_text() == "untouched"
    assert not (tmp_path / "x").is_symlink()


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(OSError, match="x"):
        write_bytes(tmp_path / "x", b"new")
    assert leftovers(tmp_path) == []


OUT_OF_ROOM = """
import resource, sys
from pathlib import Path
from pipeline.files.atomic import write_bytes

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    write_bytes(Path(sys.argv[1]), b"n" * 5000)
except OSError:
    print("no room")
"""


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "x", b"old")
    assert output_of(OUT_OF_ROOM, tmp_path / "x") == "no room\n"
    assert (tmp_path / "x").read_bytes() == b"old"
    assert leftovers(tmp_path) == []


WRITER = """
import sys
from itertools import cycle
from pathlib import Path
from pipeline.files.atomic import write_bytes

for letter in cycle((b"a", b"b")):
    write_bytes(Path(sys.argv[1]), letter * 300_000)
    print("wrote", flush=True)
"""


def test_readers_and_killed_writers_see_whole_files_only(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for _ in range(5):
        with python(WRITER, path) as writer:
            assert line(writer) == "wrote"
            for _ in range(200):
                data = path.read_bytes()
                assert data in {b"a" * 300_000, b"b" * 300_000}
        assert path.read_bytes() in {b"a" * 300_000, b"b" * 300_000}


def test_threads_that_write_the_same_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    failures: list[OSError] = []

    def write(letter: bytes) -> None:
        try:
            for _ in range(100):
                write_bytes(tmp_path / "x", letter * 1000, durable=False)
        except OSError as exc:
            failures.append(exc)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (tmp_path / "x").read_bytes() in {letter * 1000 for letter in (b"a", b"b", b"c")}


SWITCHER = """
import sys
from itertools import cycle
from pathlib import Path
from pipeline.files.atomic import switch_link

for target in cycle(("one", "two")):
    switch_link(Path(sys.argv[1]), target)
    print("switched", flush=True)
"""


def test_a_link_that_is_switched_points_somewhere_at_every_moment(tmp_path: Path) -> None:
    with python(SWITCHER, tmp_path / "latest") as switcher:
        assert line(switcher) == "switched"
        for _ in range(300):
            assert line(switcher) == "switched"
            for _ in range(20):
                assert (tmp_path / "latest").readlink().name in {"one", "two"}


def test_a_link_is_switched_over_what_a_killed_switcher_left(tmp_path: Path) -> None:
    (tmp_path / f".latest.{os.getpid()}.tmp").symlink_to("half")
    switch_link(tmp_path / "latest", "new")
    assert (tmp_path / "latest").readlink() == Path("new")
    assert leftovers(tmp_path) == []
