"""Text of persons and agents, made harmless for where it goes: terminal, prompt, commit, forge.

What steers a terminal or hides from a reader is shown as an escape. In what a forge shows, mentions
and references lose their effect, and markup stays text.
"""

import re
import unicodedata
from collections.abc import Iterator

_HIDDEN_LETTERS = frozenset("\u115f\u1160\u17b4\u17b5\u3164\uffa0\u034f")
"""Letters and marks that show nothing."""

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_TAGS = range(0xE0000, 0xE0080)
_MENTION = re.compile(r"(?<![\w`])@(?=\w)")
_REFERENCE = re.compile(r"#(?=\d)|(?<=\bGH)-(?=\d)|(?<=\bgh)-(?=\d)")
_LINK = re.compile(r"(?<=://)(?=[^\s/]+/[^\s/]+/[^\s/]+/(?:issues|pull|merge_requests|-)/)")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_WORD_JOINER = "\u2060"


def shown(text: str) -> str:
    """Show control, direction-changing and invisible characters as escapes; lines and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(ascii(char)[1:-1] if _hides(char) else char for char in text)


def _hides(char: str) -> bool:
    if char in "\n\t":
        return False
    return char in _HIDDEN_LETTERS or unicodedata.category(char) in {
        "Cc", "Cf", "Cs", "Co", "Zl", "Zp",
    }  # fmt: skip


def hidden(text: str) -> Iterator[str]:
    """Yield what of a text a reader does not see, in words, each kind with its count."""
    counts = {"direction-changing": 0, "tag": 0, "invisible": 0, "control": 0}
    for char in text if not (text.isascii() and text.isprintable()) else "":
        if _hides(char):
            kind = "control" if unicodedata.category(char) == "Cc" else "invisible"
            kind = "direction-changing" if char in _BIDI else kind
            counts["tag" if ord(char) in _TAGS else kind] += 1
    yield from (f"{count} {kind} character(s)" for kind, count in counts.items() if count)
    if comments := len(_COMMENT.findall(text)):
        yield f"{comments} HTML comment(s)"


def for_commit(text: str) -> str:
    """Return a text for a commit message or a title: nobody is called, nothing closed by it."""
    text = _MENTION.sub("@ ", shown(text))
    return _LINK.sub(" ", _REFERENCE.sub(lambda found: f"{found[0]} ", text))


def for_forge(text: str) -> str:
    """Return a text for a description on a forge: as text, without mentions, references, HTML."""
    text = shown(text).replace("<", "&lt;")
    text = _MENTION.sub(f"@{_WORD_JOINER}", text)
    return _LINK.sub(_WORD_JOINER, _REFERENCE.sub(lambda found: f"{found[0]}{_WORD_JOINER}", text))


def fenced(text: str) -> str:
    """Return a text as a block of code that it cannot end itself."""
    clean = shown(text).strip()
    marks = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", clean) or ["``"]))
    return f"{marks}text\n{clean}\n{marks}"


def cut(text: str, characters: int, where: str) -> str:
    """Return a text with at most so many characters; what was cut says where the rest is."""
    if len(text) <= characters:
        return text
    kept = text[:characters]
    kept = kept.rpartition("\n")[0] or kept
    return f"{kept}\n\n(cut here, at {len(kept)} of {len(text)} characters; all of it: {where})"
