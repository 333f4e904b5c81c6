"""Names that are made from other names."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import ids
from pipeline.errors import UsageProblem

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_run_id_is_the_time_and_eight_digits_of_chance() -> None:
    assert ids.run_id(NOW, b"\x0a\x1b\x2c\x3d\xff") == "20260102-030405-0a1b2c3d"


@given(st.datetimes(min_value=datetime(1000, 1, 1)), st.binary(min_size=4, max_size=8))  # noqa: DTZ001 - hypothesis adds the zone
def test_every_run_id_has_the_form_of_one(now: datetime, randomness: bytes) -> None:
    assert ids.is_run_id(ids.run_id(now.replace(tzinfo=UTC), randomness))


@given(st.datetimes(min_value=datetime(1000, 1, 1)), st.datetimes(min_value=datetime(1000, 1, 1)))  # noqa: DTZ001
def test_run_ids_sort_by_time(one: datetime, other: datetime) -> None:
    earlier, later = sorted((one.replace(microsecond=0), other.replace(microsecond=0)))
    assert ids.run_id(earlier, b"aaaa") <= ids.run_id(later, b"aaaa")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        "20260102-030405",
        "20260102-030405-abc",
        "20260102-030405-0a1b2c3d\n",
        "../20260102-030405-0a1b2c3d",
        "20260102-030405-0a1b/c3d",
        "\uff12\uff10\uff12\uff16\uff10\uff11\uff10\uff12-030405-0a1b2c3d",
    ],
)
def test_what_is_no_run_id_is_refused_with_the_way_to_find_one(text: str) -> None:
    with pytest.raises(UsageProblem, match="is not a run id") as caught:
        ids.require_run_id(text)
    assert caught.value.hint == "List all runs: pipeline list"


def test_a_run_id_passes_through() -> None:
    assert ids.require_run_id("20260102-030405-0a1b2c3d") == "20260102-030405-0a1b2c3d"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Add rate limiting", "add-rate-limiting"),
        ("  Größe & Über-Maß! ", "groe-uber-ma"),
        ("__init__.py: fix", "init-py-fix"),
        ("字", "change"),
        ("", "change"),
        ("x" * 60, "x" * 48),
        (
            "forty eight letters are room for a few words only, not more",
            "forty-eight-letters-are-room-for-a-few-words",
        ),
    ],
)
def test_a_slug_is_made_of_plain_words(text: str, expected: str) -> None:
    assert ids.slug(text) == expected


@given(st.text(max_size=200))
def test_every_slug_can_be_part_of_a_branch(text: str) -> None:
    slug = ids.slug(text)
    assert 0 < len(slug) <= ids.SLUG_MAX_CHARACTERS
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not slug.startswith("-")
    assert not slug.endswith("-")
    assert "--" not in slug


@given(st.text(max_size=100))
def test_a_slug_of_a_slug_is_itself(text: str) -> None:
    assert ids.slug(ids.slug(text)) == ids.slug(text)


def test_a_branch_carries_the_feature_and_the_run() -> None:
    assert (
        ids.branch_name("feature/{feature}-{run_id}", "Rate limits", "20260102-030405-0a1b2c3d")
        == "feature/rate-limits-20260102-030405-0a1b2c3d"
    )


def test_a_lock_of_a_run_carries_its_id_and_one_of_the_repository_does_not() -> None:
    assert ids.lock_file_name("src_writer", "R") == "src_writer.R.lock"
    assert ids.lock_file_name("publisher", None) == "publisher.lock"


def test_a_stage_of_a_follow_up_has_a_folder_below_its_workflow() -> None:
    assert ids.stage_folder("triage:sdk_analyst") == "triage/sdk_analyst"
    assert ids.stage_folder("planner") == "planner"


@pytest.mark.parametrize(
    "other", ["sdk-analyst", "SDK_Analyst", "rm-sdk-analyst", "RM_sdk_analyst"]
)
def test_names_are_the_same_in_every_spelling(other: str) -> None:
    assert ids.is_same_name("sdk_analyst", other)


def test_different_names_are_not_the_same() -> None:
    assert not ids.is_same_name("developer", "develop")
