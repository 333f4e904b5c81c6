"""How a repository words its commits, found from the newest subjects of the base.

And ours worded like that.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import PurePosixPath

import msgspec

from pipeline.language.publishing import Style

LOOKED_AT = 50
_ENOUGH = 5
_SUBJECT_MAX = 72
_TYPES = "build|chore|ci|docs|feat|fix|perf|refactor|revert|style|test"
_CONVENTIONAL = re.compile(rf"(?:{_TYPES})(?:\(([^)]+)\))?!?: \S")
_TICKET = re.compile(r"(\[?)([A-Z][A-Z0-9]+-\d+)(\]?:? )\S")
_TICKET_ID = re.compile(r"\b[A-Z][A-Z0-9]+-\d+\b")
_PREFIX = re.compile(r"([\w.@*{},/-]+): \S")
_ROOTS = frozenset(
    {"src", "lib", "tests", "test", "docs", "doc", "pkg", "packages", "cmd", "internal"}
)


class Form(StrEnum):
    """The forms of subjects that we know."""

    CONVENTIONAL = "conventional"
    PREFIX = "prefix"
    TICKET = "ticket"
    PLAIN = "plain"


class Wording(msgspec.Struct, frozen=True, kw_only=True):
    """What was found.

    The form, the scopes or prefixes in use, whether plain subjects begin with a capital.
    """

    form: Form
    names: frozenset[str] = frozenset()
    scoped: bool = False
    capital: bool = True
    ticket: str = ""

    def subject(self, kind: str, title: str, paths: Sequence[str], *, red: bool) -> str:
        """Word one commit: `kind` is test, feat or docs; `red` that its tests were seen to fail."""
        failing = " (failing)" if kind == "test" and red else ""
        name = self._name(paths)
        if self.form is Form.CONVENTIONAL:
            scope = f"({name})" if self.scoped and name else ""
            return _cut(f"{kind}{scope}: ", title, failing)
        if self.form is Form.PREFIX and name:
            after = {"test": " (tests)", "docs": " (docs)"}.get(kind, "")
            return _cut(f"{name}: ", title, f"{after}{failing}")
        said = {"test": f"add {'failing ' if red else ''}tests: ", "docs": "document: "}.get(
            kind, ""
        )
        words = f"{said}{title}"
        first = words[:1].upper() if self.capital else words[:1]
        return _cut(self.ticket, first + words[1:], "")

    def _name(self, paths: Sequence[str]) -> str:
        """Choose the scope in use that holds most of the paths, else the first telling folder."""
        parts = [_parts(path) for path in paths]
        known = Counter(
            name for name in self.names for own in parts if set(name.split("/")) <= set(own)
        )
        if known:
            wide = [name for name in known if 2 * known[name] >= len(parts)]
            return min(wide or known, key=lambda name: (-name.count("/"), -known[name], name))
        folders = Counter(own[0] for own in parts if len(own) > 1)
        return folders.most_common(1)[0][0] if folders else ""


def wording_of(subjects: Sequence[str], style: Style, idea: str) -> Wording:
    """Find the wording of a history; too short a one counts as conventional.

    A flow's `style` goes before.
    """
    conventional = [match for subject in subjects if (match := _CONVENTIONAL.match(subject))]
    scopes = [match[1] for match in conventional if match[1]]
    if style is Style.CONVENTIONAL or (
        style is Style.AUTO and _most(conventional, subjects, short=True)
    ):
        scoped = bool(scopes) and 2 * len(scopes) >= len(conventional)
        return Wording(form=Form.CONVENTIONAL, names=frozenset(scopes), scoped=scoped)
    letters = [
        subject[:1]
        for subject in subjects
        if subject[:1].isalpha() and not _CONVENTIONAL.match(subject)
    ]
    capital = 2 * sum(letter.isupper() for letter in letters) >= len(letters)
    if style is Style.PLAIN:
        return Wording(form=Form.PLAIN, capital=capital)
    tickets = [match for subject in subjects if (match := _TICKET.match(subject))]
    ticket = _TICKET_ID.search(idea)
    if ticket and _most(tickets, subjects):
        before, _, after = tickets[0].groups()
        return Wording(form=Form.TICKET, ticket=f"{before}{ticket[0]}{after}")
    prefixes = [match[1] for subject in subjects if (match := _PREFIX.match(subject))]
    if not tickets and _most(prefixes, subjects):
        return Wording(form=Form.PREFIX, names=frozenset(prefixes))
    return Wording(form=Form.PLAIN, capital=capital)


def _most(some: Sequence[object], subjects: Sequence[str], *, short: bool = False) -> bool:
    """Return whether more than half are of that kind.

    Of a history too short to tell, `short` is said.
    """
    return short if len(subjects) < _ENOUGH else 2 * len(some) > len(subjects)


def _parts(path: str) -> list[str]:
    pure = PurePosixPath(path)
    parts = [*pure.parts[:-1], pure.stem]
    return parts[1:] if parts[0] in _ROOTS and len(parts) > 1 else parts


def _cut(before: str, title: str, after: str) -> str:
    """Put a subject together, the title cut at a word where it grows too long."""
    room = _SUBJECT_MAX - len(before) - len(after)
    if len(title) > room:
        title = title[:room].rpartition(" ")[0] or title[:room]
    return f"{before}{title}{after}"


def signed_off(messages: Iterable[str]) -> bool:
    """Return whether most commits have a sign-off trailer; each is empty where there is none."""
    signed = [bool(message) for message in messages]
    return bool(signed) and 2 * sum(signed) > len(signed)
