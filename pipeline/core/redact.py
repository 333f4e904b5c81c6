"""Remove secrets from what is written and shown: known values, in every usual form of them.

The name of a variable decides whether its value is secret, or the look of the value itself. A value
is found in plain, base64 (wherever it begins in what was encoded), hexadecimal, URL-encoded and
JSON-escaped form, in text, bytes, and streams cut anywhere.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus, unquote

import msgspec

from pipeline.core import tokens

SECRET_MIN_CHARACTERS = 8
"""Shorter values (`1`, `true`, `test`) occur in ordinary output too often to be replaced."""

_LINE_MIN_CHARACTERS = 16
"""From this length on a line of a secret of several lines is a secret of its own."""

_T = TypeVar("_T")
_SECRET_NAME = re.compile(
    r"KEY(?!BOARD|MAP)|TOKEN(?!IZER)|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|COOKIE|BEARER"
    r"|(?:^|_)(?:PASS|PWD|PW|PAT|AUTH|DSN)(?:_|$)",
    re.IGNORECASE,
)
_PATH = re.compile(
    r"(?:~|\.{1,2})/|file:|[A-Za-z]:\\"
    r"|/(?:home|Users|etc|usr|var|tmp|opt|root|run|mnt|srv|private|Volumes|nix|dev|proc|work)/"
)
_PATH_NAME = re.compile(r"[_-](?:FILE|PATH|DIR|SOCK)$", re.IGNORECASE)
_WORKING_FOLDER = "PWD"
"""The shell's own variable; a field of this name in a file of logins holds a password."""

_PLAIN_URL = re.compile(r"\w+://[^@?\s]*$")
_CREDENTIALS = re.compile(r"\w://([^/\s:@\"']*):([^/\s@\"']+)@|\w://([^/\s:@\"']{20,})@")
_WRAPPED = re.compile(r"[A-Za-z0-9+/_-]{48}\r?\n\s*[A-Za-z0-9+/_-]")
"""Base64 or hexadecimal digits that go on in the next line."""

_WRAPPED_DATA = re.compile(_WRAPPED.pattern.encode())

_COMMON = frozenset([
        "password", "passw0rd", "changeme", "localhost", "production", "development", "username",
        "anonymous", "postgres", "undefined", "optional", "required", "disabled", "keychain",
        "osxkeychain", "manager-core", "unlimited", "permissive", "enforcing", "interactive",
])  # fmt: skip


def is_secret_name(name: str) -> bool:
    """Return whether a variable or field of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the secret values of an environment, each with the name of its variable.

    Those of variables that sound secret, values that look like a token, and passwords in URLs.
    """
    found: dict[str, str] = {}
    for name, text in environ.items():
        value = text.strip()
        is_secret = is_secret_name(name) and name != _WORKING_FOLDER
        if is_secret and not is_harmless(name, value):
            found[value] = name
        for one in (*url_passwords(value), *shaped(value)):
            found.setdefault(one, name)
    return {value: name for value, name in found.items() if len(value) >= SECRET_MIN_CHARACTERS}


def url_passwords(text: str) -> list[str]:
    """Return the passwords, as they stand and decoded, of all URLs in a text that have one."""
    if "://" not in text or "@" not in text:
        return []
    found = [match[2] or match[3] for match in _CREDENTIALS.finditer(text)]
    return list(dict.fromkeys((*found, *map(unquote, found))))


def shaped(text: str) -> list[str]:
    """Return what looks like a token in a text; a private key by its lines."""
    return [text[one.start : one.end] for one in tokens.tokens_in(text) if "-----" not in text]


def without_url_passwords(text: str) -> str:
    """Return a text in which no URL names a password."""
    if "://" not in text or "@" not in text:
        return text
    return _CREDENTIALS.sub(
        lambda match: match[0].replace(f"{match[2] or match[3]}@", "[password]@"), text
    )


def is_harmless(name: str, value: str) -> bool:
    """Return whether a value is none although the name sounds so: a path, a word, an address."""
    is_count = value.isdecimal() and "TOKENS" in name.upper()
    is_url = _PLAIN_URL.match(value) is not None and len(value.partition("://")[2]) < 60
    is_named_path = value.startswith("/") and _PATH_NAME.search(name) is not None
    is_path = is_named_path or _PATH.match(value) is not None
    return is_count or is_url or is_path or value.lower() in _COMMON


def forms(value: str) -> tuple[str, ...]:
    """Return how a secret can stand in a text, the value itself first."""
    lines = value.splitlines() if "\n" in value else []
    parts = [one for one in lines if len(one) >= _LINE_MIN_CHARACTERS and "-----" not in one]
    return tuple(dict.fromkeys(form for one in (value, *parts) for form in _forms(one)))


def _forms(value: str) -> list[str]:
    data = value.encode("utf-8", "surrogateescape")
    escaped = [json.dumps(value, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)]
    escaped += [one.replace("/", "\\/") for one in escaped]
    escaped += [json.dumps(one, ensure_ascii=False)[1:-1] for one in escaped]
    urls = [quote(data, safe=safe) for safe in ("", "/", "!*'()~", "/:")] + [quote_plus(data)]
    urls += [re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), one) for one in urls]
    return [value, *escaped, *urls, data.hex(), data.hex().upper(), *base64_forms(data)]


def base64_forms(data: bytes) -> list[str]:
    """Return the characters that base64 makes of data alone, wherever it stands in a text."""
    found = []
    for offset in range(3):
        whole = (offset + len(data)) * 8 // 6
        text = base64.b64encode(b"\0" * offset + data).decode()[(0, 2, 3)[offset] : whole]
        found += [text, text.replace("+", "-").replace("/", "_")]
    return found


class Redactor:
    """Knows secret values and finds or replaces them; one for a process, used by all its threads.

    Values that stand in the repository itself are left out: `leave_out` says how to look, and is
    asked no earlier than something is found.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        """`values` are secrets, each with the name that is shown instead."""
        self._names: dict[str, str] = {}
        self._forms: tuple[tuple[str, bytes, str], ...] = ()
        self._checked: set[str] = set()
        self._public: set[str] = set()
        self._find_public: Callable[[Sequence[str]], AbstractSet[str]] | None = None
        self.learn(values or {})

    def learn(self, values: Mapping[str, str]) -> None:
        """Take in more secrets; the name that was heard first stays."""
        new = {
            value: name
            for value, name in values.items()
            if len(value) >= SECRET_MIN_CHARACTERS and value not in self._names
        }
        if not new:
            return
        self._names = {**self._names, **new}
        made = {form: value for value in self._names for form in forms(value)}
        # The longest first: one secret can be the beginning of another.
        self._forms = tuple(
            (form, form.encode("utf-8", "surrogateescape"), made[form])
            for form in sorted(made, key=len, reverse=True)
        )

    def leave_out(self, find_public: Callable[[Sequence[str]], AbstractSet[str]]) -> None:
        """Leave out what is public; the function returns which of some texts are."""
        self._find_public, self._checked, self._public = find_public, set(), set()

    def __bool__(self) -> bool:
        """Return whether it knows anything."""
        return bool(self._forms)

    def values(self) -> tuple[str, ...]:
        """Return all secrets that are not public."""
        self._look_for_public()
        return tuple(value for value in self._names if value not in self._public)

    def text(self, text: str) -> str:
        """Replace every secret by its name in brackets."""
        joined = "".join(text.split()) if self._forms and _WRAPPED.search(text) else ""
        hits = [(form, one) for form, _, one in self._forms if form in text or form in joined]
        for form, value in self._secret(hits):
            text = text.replace(form, f"[{self._names[value]}]")
            if form in joined:
                cut = re.compile(r"\s*".join(map(re.escape, form)))
                text = f"[{self._names[value]}]".join(cut.split(text))
        return text

    def found(self, data: bytes) -> list[str]:
        """Return the names of the secrets in some data; lines that base64 was cut into count."""
        is_wrapped = self._forms and _WRAPPED_DATA.search(data)
        joined = b"".join(data.split()) if is_wrapped else b""
        hits = [(form, value) for form, raw, value in self._forms if raw in data or raw in joined]
        return sorted({self._names[value] for _, value in self._secret(hits)})

    def found_in_name(self, name: str) -> list[str]:
        """Return the names of the secrets that stand in the name of a file."""
        return self.found(name.encode("utf-8", "surrogateescape"))

    def fields(self, value: _T, exact: AbstractSet[str] = frozenset()) -> _T:
        """Return a struct with all its texts redacted but for the fields that are named."""
        return self._clean(value, exact) if self._forms else value

    def _clean(self, value: Any, exact: AbstractSet[str]) -> Any:
        match value:
            case Enum():
                return value
            case str():
                return self.text(value)
            case msgspec.Struct():
                return self._clean_struct(value, exact)
            case tuple() | list():
                cleaned = [self._clean(one, exact) for one in value]
                is_same = all(old is new for old, new in zip(value, cleaned, strict=True))
                return value if is_same else type(value)(cleaned)
            case dict():
                return {
                    self._clean(name, exact): self._clean(one, exact) for name, one in value.items()
                }
            case _:
                return value

    def _clean_struct(self, struct: msgspec.Struct, exact: AbstractSet[str]) -> msgspec.Struct:
        changed = {}
        for name in struct.__struct_fields__:
            old = getattr(struct, name)
            new = old if name in exact else self._clean(old, exact)
            if new != old:
                changed[name] = new
        return msgspec.structs.replace(struct, **changed) if changed else struct

    def _secret(self, hits: list[tuple[str, str]]) -> list[tuple[str, str]]:
        if hits:
            self._look_for_public()
        return [(form, value) for form, value in hits if value not in self._public]

    def _look_for_public(self) -> None:
        new = [value for value in self._names if value not in self._checked]
        if new and self._find_public is not None:
            public = self._find_public([form for value in new for form in forms(value)])
            self._public |= {value for value in new if public & set(forms(value))}
            self._checked |= set(new)


class RedactingStream:
    """Redacts bytes that arrive in pieces, even if a value is split between two of them."""

    def __init__(self, values: Iterable[str]) -> None:
        """`values` are the secrets; without any, everything passes unchanged."""
        texts = {form for value in values for form in forms(value)}
        self._values = sorted(
            (text.encode("utf-8", "surrogateescape") for text in texts), key=len, reverse=True
        )
        self._longest = max((len(value) for value in self._values), default=1)
        self._begins = {value[:_CUE_BYTES] for value in self._values}
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next piece; return the part of the stream that can be shown already."""
        if not self._values:
            return data
        data = self._clean(self._held + data)
        held_bytes = next(
            (
                size_bytes
                for size_bytes in range(min(self._longest - 1, len(data)), 0, -1)
                if self._may_begin(data[-size_bytes:])
            ),
            0,
        )
        self._held = data[len(data) - held_bytes :]
        return data[: len(data) - held_bytes]

    def end(self) -> bytes:
        """Return what was held back."""
        held, self._held = self._held, b""
        return held

    def _clean(self, data: bytes) -> bytes:
        for value in self._values:
            if value in data:
                data = data.replace(value, b"[secret]")
        return data

    def _may_begin(self, tail: bytes) -> bool:
        if len(tail) >= _CUE_BYTES and tail[:_CUE_BYTES] not in self._begins:
            return False
        return any(value.startswith(tail) for value in self._values)


_CUE_BYTES = 4
"""How much of a tail is looked up before it is compared with every form."""
