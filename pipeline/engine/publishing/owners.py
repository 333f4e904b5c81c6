"""Who owns the changed paths, by the base's CODEOWNERS: the last line that matches a path wins.

The format is GitHub's:
https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features
"""

import re
from collections.abc import Iterable

from pipeline.repo.store import Store

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")


def owners(store: Store, base: str, paths: Iterable[str]) -> dict[str, list[str]]:
    """Return the owners of some paths with what of them is theirs; empty without the file."""
    data = next((text for place in PLACES if (text := store.read(base, place)) is not None), b"")
    rules = list(_rules(data.decode("utf-8", "replace")))
    owned: dict[str, list[str]] = {}
    for path in paths:
        names = next((names for pattern, names in reversed(rules) if pattern.match(path)), [])
        for name in names:
            owned.setdefault(name, []).append(path)
    return owned


def _rules(text: str) -> Iterable[tuple[re.Pattern[str], list[str]]]:
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words and not words[0].startswith(("[", "^[", "!")):
            yield re.compile(_regex(words[0])), words[1:]


def _regex(pattern: str) -> str:
    """Turn a pattern into an expression.

    Anchored by a slash before its end, a folder means all below.
    """
    anchored = "/" in pattern.rstrip("/")
    body = pattern.strip("/")
    parts = re.split(r"(\*\*/|/\*\*|\*|\?)", body)
    words = {"**/": "(?:.*/)?", "/**": "/.*", "*": "[^/]*", "?": "[^/]"}
    text = "".join(words.get(part) or re.escape(part) for part in parts)
    end = "/.*" if pattern.endswith("/") else "" if body.endswith("/**") else "(?:/.*)?"
    if body.endswith("/*"):
        end = ""
    return ("" if anchored else "(?:.*/)?") + text + end + r"\Z"
