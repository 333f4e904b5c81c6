"""What a program printed is cut in the middle, where the reason seldom stands."""

import pytest

from pipeline.core.excerpt import excerpt


def test_a_short_text_stays_as_it_is():
    assert excerpt("  one\ntwo \n") == "one\ntwo"


def test_the_first_and_the_last_lines_are_kept_whole():
    lines = [
        "error: the lock file is out of date",
        *(f"  --option{number}" for number in range(100)),
        "error: all of it: x",
    ]
    shown = excerpt("\n".join(lines), 120).splitlines()
    assert (shown[0], shown[-1]) == (lines[0], lines[-1])
    assert shown.count("[...]") == 1
    assert set(shown) - {"[...]"} <= set(lines)


@pytest.mark.parametrize("text", ["x" * 5000, "x" * 5000 + "\n", "\n".join(["x" * 900] * 9)])
def test_a_text_of_long_lines_is_cut_within_them(text):
    assert 300 < len(excerpt(text, 400)) < 420
