"""The pool: a workspace belongs to one run until that is over, and what nobody needs makes room."""

import os

import pytest

from pipeline.errors import Busy
from pipeline.repo import disk, pool
from pipeline.repo.pool import GATES, Pool


@pytest.fixture
def over():
    return set()


@pytest.fixture
def opened(tmp_path, over):
    return lambda run: Pool(tmp_path / "workspaces", run, tmp_path, lambda name, _: name in over)


def test_runs_at_once_have_workspaces_and_ports_of_their_own(opened):
    one, other = opened("a"), opened("b")
    places = [one.lease("0"), one.lease("1"), other.lease("0"), one.lease("0")]
    assert places[0] == places[3]
    assert len({folder for folder, _ in places}) == 3
    assert [port for _, port in places[:3]] == [20000, 20100, 20200]


def test_a_run_that_is_not_over_keeps_its_workspace_also_when_nobody_works_on_it(opened):
    first = opened("a")
    mine, _ = first.lease("0")
    first.close(is_over=False)
    assert opened("b").lease("0")[0] != mine
    assert opened("a").lease("0")[0] == mine


def test_what_a_run_leaves_when_it_is_over_the_next_one_takes(opened, over):
    first = opened("a")
    mine, _ = first.lease("0")
    first.close(is_over=True)
    second = opened("b")
    assert second.lease("0")[0] == mine
    second.close(is_over=False)
    over.add("b")
    assert opened("c").lease("0")[0] == mine, "also when it was ended while nobody worked on it"


def test_gates_never_get_what_an_agent_had(opened):
    first = opened("a")
    mine, _ = first.lease("0")
    gate, _ = first.lease("gate", GATES)
    first.close(is_over=True)
    second = opened("b")
    assert second.lease("gate", GATES)[0] == gate
    assert second.lease("0")[0] == mine


def held(opened, run, size, *, finished):
    taken = opened(run)
    folder, _ = taken.lease("0")
    folder.mkdir(parents=True, exist_ok=True)
    taken.record_size("0", size)
    taken.close(is_over=finished)
    return folder


def test_room_is_made_by_removing_what_was_free_for_longest(opened, tmp_path, over):
    open_ones = [opened(name) for name in "abc"]
    folders = []
    for age, one in enumerate(open_ones):
        folder, _ = one.lease("0")
        folder.mkdir(parents=True)
        one.record_size("0", 400)
        folders.append((folder, age))
    for one in open_ones:
        one.close(is_over=True)
    for folder, age in folders:
        os.utime(folder.parent / "owner.json", (1000 + age, 1000 + age))
    disk.make_room(tmp_path, 1000, lambda name, _: name in over)
    assert [folder.exists() for folder, _ in folders] == [False, True, True]


def test_without_room_the_runs_that_hold_it_are_named_and_nothing_of_theirs_is_removed(
    opened, tmp_path
):
    folder = held(opened, "20260101-000000-aaaaaaaa", 2_000_000, finished=False)
    with pytest.raises(Busy, match=r"20260101-000000-aaaaaaaa: 2[.]0 MB") as found:
        disk.make_room(tmp_path, 1_000_000, lambda *_: False)
    assert "pipeline cancel 20260101-000000-aaaaaaaa" in found.value.hint
    assert folder.exists()
    assert pool.workspaces_of(tmp_path / "workspaces", "20260101-000000-aaaaaaaa")["0"][0] == folder
