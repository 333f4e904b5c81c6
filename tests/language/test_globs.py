"""Path patterns, held against a matcher that tries everything and a universe of all short paths."""

from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.language import globs

SEGMENTS = ("a", "b", "ab", "ba", "aab", "a.b")
UNIVERSE = [
    "/".join(parts)
    for depth in (1, 2, 3, 4)
    for parts in product(SEGMENTS[: 7 - depth], repeat=depth)
]

segments = st.one_of(st.just("**"), st.text("ab*?.", min_size=1, max_size=4))
patterns = st.builds(
    lambda parts, end: "/".join(parts) + end,
    st.lists(segments, min_size=1, max_size=4),
    st.sampled_from(["", "", "", "/"]),
).filter(lambda pattern: globs.why_invalid(pattern) is None)
paths = st.sampled_from(UNIVERSE)


def slow_match(pattern: str, path: str) -> bool:
    """Match by trying every way; written from the module's first lines, not from its code."""
    parts = pattern.split("/")
    if parts[-1] == "":
        parts[-1] = "**"
    return _match_parts(parts, path.split("/"))


def _match_parts(parts: list[str], names: list[str]) -> bool:
    if not parts:
        return not names
    if parts[0] == "**":
        if len(parts) == 1:
            return len(names) > 0
        return any(_match_parts(parts[1:], names[eaten:]) for eaten in range(len(names) + 1))
    return bool(names) and _match_name(parts[0], names[0]) and _match_parts(parts[1:], names[1:])


def _match_name(part: str, name: str) -> bool:
    if not part:
        return not name
    if part[0] == "*":
        return any(_match_name(part[1:], name[eaten:]) for eaten in range(len(name) + 1))
    return bool(name) and part[0] in {name[0], "?"} and _match_name(part[1:], name[1:])


@given(patterns, paths)
@settings(max_examples=400)
def test_a_pattern_matches_what_the_slow_matcher_matches(pattern: str, path: str) -> None:
    assert globs.matches(pattern, path) == slow_match(pattern, path)


@given(
    patterns, st.text("ab./*?+$^(|\n", min_size=1, max_size=8).filter(lambda path: "//" not in path)
)
def test_special_characters_of_other_globs_are_literal(pattern: str, path: str) -> None:
    if not path.startswith("/") and not path.endswith("/"):
        assert globs.matches(pattern, path) == slow_match(pattern, path)


@given(st.lists(patterns, max_size=3), paths)
def test_any_of_several_is_enough(some: list[str], path: str) -> None:
    assert globs.matches_any(some, path) == any(slow_match(pattern, path) for pattern in some)


@given(st.lists(patterns, min_size=1, max_size=3), st.lists(patterns, min_size=1, max_size=3))
@settings(max_examples=400)
@example(["**/a"], ["a/**"])
@example(["**/a/**"], ["**/b/**"])
@example(["a*b"], ["*?*"])
@example(["**"], ["**"])
@example(["a/"], ["**/b"])
def test_an_example_of_an_overlap_is_matched_by_both(one: list[str], other: list[str]) -> None:
    found = globs.overlap(one, other)
    if found is not None:
        assert any(slow_match(pattern, found) for pattern in one)
        assert any(slow_match(pattern, found) for pattern in other)
        assert all(found.split("/"))
        assert not set(found) & set("*?")


@given(patterns, patterns)
@settings(max_examples=300)
@example("**/ab", "a*/**/ab")
@example("*a*", "*b*")
@example("**/a/**/b", "a/**/b")
def test_where_there_is_no_overlap_no_path_is_matched_by_both(one: str, other: str) -> None:
    if globs.overlap([one], [other]) is None:
        assert not [path for path in UNIVERSE if slow_match(one, path) and slow_match(other, path)]


@given(st.lists(patterns, max_size=3), st.lists(patterns, max_size=3))
@example(["a"], ["b", "a"])
@example(["b", "a"], ["a"])
def test_two_lists_overlap_when_any_two_of_their_patterns_do(
    one: list[str], other: list[str]
) -> None:
    pairs = any(globs.overlap([a], [b]) is not None for a in one for b in other)
    assert (globs.overlap(one, other) is not None) == pairs


@given(patterns, patterns)
def test_an_overlap_is_the_same_from_both_sides(one: str, other: str) -> None:
    assert (globs.overlap([one], [other]) is None) == (globs.overlap([other], [one]) is None)


@given(patterns)
def test_every_sound_pattern_matches_something(pattern: str) -> None:
    found = globs.overlap([pattern], [pattern])
    assert found is not None
    assert slow_match(pattern, found)


@given(st.text("ab*?/.!\\[", max_size=6))
def test_a_pattern_is_valid_or_has_a_reason(pattern: str) -> None:
    sound = globs.why_invalid(pattern) is None
    parts = pattern.removesuffix("/").split("/")
    allowed = all(
        part not in {"", ".", ".."} and ("**" not in part or part == "**") for part in parts
    )
    assert sound == (allowed and not set(pattern) & set("!\\["))


@pytest.mark.parametrize(
    ("pattern", "path", "matched"),
    [
        ("src/**", "src/a/b.py", True),
        ("src/**", "src", False),
        ("src/", "src/a/b.py", True),
        ("**/conftest.py", "conftest.py", True),
        ("**/conftest.py", "tests/core/conftest.py", True),
        ("src/**/x.py", "src/x.py", True),
        ("*.py", "src/x.py", False),
        ("src/*", "src/.hidden", True),
        ("s?c", "s/c", False),
        ("a.b", "axb", False),
        ("**", "a\nb", True),
        ("Src/*", "src/x", False),
    ],
)
def test_patterns_mean_what_the_documentation_says(
    pattern: str, path: str, *, matched: bool
) -> None:
    assert globs.matches(pattern, path) is matched


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("", "empty"),
        ("/a", "relative"),
        ("a/../b", "segments"),
        ("./a", "segments"),
        ("a//b", "segments"),
        ("a**", "whole segment"),
        ("a/[bc]", "'['"),
        ("{a,b}", "'{'"),
        ("!a", "'!'"),
        ("a\\b", "has no meaning"),
        ("a\nb", "has no meaning"),
    ],
)
def test_an_invalid_pattern_is_reported_with_the_reason(pattern: str, word: str) -> None:
    assert word in str(globs.why_invalid(pattern))


def test_the_longest_patterns_that_are_allowed_can_be_compared() -> None:
    longest = max(length for length in range(2, 3000, 2) if globs.why_invalid("a" * length) is None)
    found = globs.overlap(["a*" * (longest // 2)], ["*a" * (longest // 2)])
    assert found is not None
