"""Path patterns: a small, exact subset of gitignore's, with a test for overlap.

A pattern is relative to the repository's root and uses `/`. `*` stands for any run of
characters without `/`, `?` for one of them, and a whole segment `**` for any number of
segments (as the last one: everything below). A pattern ending in `/` means everything below.
Everything else is literal; there are no classes, braces or negations. Only patterns that the engine
makes itself can exclude others: `src/** ! src/**/*.test.ts`.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

LENGTH_MAX = 200

_BUT = " ! "
_FORBIDDEN = re.compile(r"[\[\]{}!\\\x00-\x1f]")


def why_invalid(pattern: str) -> str | None:
    """Return what is wrong with a pattern, or None when it is valid."""
    if not pattern:
        return "an empty pattern matches nothing"
    if pattern.startswith("/"):
        return "patterns are relative to the repository: remove the leading /"
    if bad := _FORBIDDEN.search(pattern):
        return f"{bad.group()!r} has no meaning in these patterns (only *, ? and ** have)"
    if len(pattern) > LENGTH_MAX:
        return f"longer than {LENGTH_MAX} characters"
    parts = pattern.removesuffix("/").split("/")
    if any(part in {"", ".", ".."} for part in parts):
        return "empty, . and .. segments are not allowed"
    if any("**" in part and part != "**" for part in parts):
        return "** must be a whole segment between slashes"
    return None


def but_not(pattern: str, left_out: Iterable[str]) -> str:
    """Return a pattern that excludes those of the others that share a path with it."""
    parts = [
        other for other in left_out if _shared(_segments(pattern), _segments(other)) is not None
    ]
    return _BUT.join((pattern, *parts))


def matches(pattern: str, path: str) -> bool:
    """Return whether a pattern matches a path relative to the repository."""
    head, *left_out = pattern.split(_BUT)
    return _matches(head, path) and not any(_matches(other, path) for other in left_out)


def _matches(pattern: str, path: str) -> bool:
    return _compiled(pattern).fullmatch(path) is not None


def matches_any(patterns: Iterable[str], path: str) -> bool:
    """Return whether any of the patterns matches the path."""
    return any(matches(pattern, path) for pattern in patterns)


def overlap(one: Sequence[str], other: Sequence[str]) -> str | None:
    """Return an example path that both sides match, or None when there can be none."""
    for a in one:
        for b in other:
            if (example := _shared_pair(a, b)) is not None:
                return example
    return None


@lru_cache(maxsize=4096)
def _shared_pair(one: str, other: str) -> str | None:
    (a, *without_a), (b, *without_b) = one.split(_BUT), other.split(_BUT)
    example = _shared(_segments(a), _segments(b))
    covered = any(_covers(n, p) for n in (*without_a, *without_b) for p in (a, b))
    return None if example is None or covered else "/".join(example)


def _covers(wide: str, narrow: str) -> bool:
    """Return whether every path of `narrow` is one of `wide`, for the common forms.

    False when in doubt.
    """
    if wide == narrow:
        return True
    w, n = _segments(wide), _segments(narrow)
    if w[-1] == "**" and "**" not in w[:-1]:
        return len(n) >= len(w) and all(
            a in {b, "*"} and b != "**" for a, b in zip(w[:-1], n, strict=False)
        )
    return w[0] == "**" and "**" not in w[1:] and len(n) >= len(w) - 1 and n[-len(w) + 1 :] == w[1:]


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    segments = _segments(pattern)
    text = ""
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment == "**":
            text += ".+" if last else "(?:[^/]+/)*"
        else:
            text += _segment_regex(segment) + ("" if last else "/")
    return re.compile(text, re.DOTALL)


def _segments(pattern: str) -> tuple[str, ...]:
    return tuple((pattern + "**" if pattern.endswith("/") else pattern).split("/"))


def _segment_regex(segment: str) -> str:
    kinds = {"*": "[^/]*", "?": "[^/]"}
    return "".join(kinds.get(char) or re.escape(char) for char in segment)


@lru_cache(maxsize=4096)
def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return a path (as segments) that both segment lists match."""
    if not one and not other:
        return ()
    if one and one[0] == "**":
        return _shared_deep(one, other)
    if other and other[0] == "**":
        return _shared_deep(other, one)
    if not one or not other:
        return None
    head = _shared_segment(one[0], other[0])
    if head is None:
        return None
    tail = _shared(one[1:], other[1:])
    return None if tail is None else (head, *tail)


def _shared_deep(deep: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...] | None:
    """Handle a leading `**`: it takes no segment (unless it is last), or takes one and stays."""
    if len(deep) > 1 and (rest := _shared(deep[1:], other)) is not None:
        return rest
    if other and other[0] != "**":
        head = _shared_segment(other[0], "*")
        rest = _shared(deep, other[1:]) if len(other) > 1 else (() if len(deep) == 1 else None)
        return None if head is None or rest is None else (head, *rest)
    if other and len(other) > 1:
        return _shared(deep, other[1:])
    return ("x",) if other and len(deep) == 1 else None


def _shared_segment(one: str, other: str) -> str | None:
    """Return a non-empty segment that both match; only two bare stars share the empty text."""
    text = _shared_text(one, other)
    return "x" if text == "" else text


@lru_cache(maxsize=8192)
def _shared_text(one: str, other: str) -> str | None:
    """Return a text that two segments (with `*` and `?`) both match."""
    if not one and not other:
        return ""
    if one[:1] == "*" or other[:1] == "*":
        star, rest = (one, other) if one[:1] == "*" else (other, one)
        if (text := _shared_text(star[1:], rest)) is not None:
            return text
        if not rest:
            return None
        step = _shared_text(star, rest[1:])
        return (
            None if step is None else ("" if rest[0] == "*" else rest[0].replace("?", "x")) + step
        )
    if not one or not other:
        return None
    if one[0] != other[0] and "?" not in (one[0], other[0]):
        return None
    tail = _shared_text(one[1:], other[1:])
    char = other[0] if one[0] == "?" else one[0]
    return None if tail is None else char.replace("?", "x") + tail
