"""Remove secrets from what agents print and write: exact values, even in a stream cut anywhere.

The name of a variable decides whether its value is secret. An agent gets keys by `pass_env`, and
none may reach a log, an answer, a commit or a pull request.
"""

import re
from collections.abc import Iterable, Mapping

SECRET_MIN_CHARACTERS = 8
"""Shorter values (`1`, `true`, `test`) occur in ordinary output too often to be replaced."""

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)


def secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the secret values of an environment, each with the name of its variable."""
    return {
        value: name
        for name, value in environ.items()
        if _SECRET_NAME.search(name) and len(value) >= SECRET_MIN_CHARACTERS
    }


def redacted(text: str, values: Mapping[str, str]) -> str:
    """Replace every secret value by the name of its variable."""
    # The longest first: one secret can be the beginning of another.
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, f"[{values[value]}]")
    return text


def names_in(data: bytes, values: Mapping[str, str]) -> list[str]:
    """Return the names of the variables whose values occur in the data."""
    return sorted({name for value, name in values.items() if value.encode() in data})


class RedactingStream:
    """Redacts bytes that arrive in pieces, even if a value is split between two of them."""

    def __init__(self, values: Iterable[str]) -> None:
        """`values` are the secrets; without any, everything passes unchanged."""
        self._values = sorted((value.encode() for value in values), key=len, reverse=True)
        self._longest = max((len(value) for value in self._values), default=1)
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
            data = data.replace(value, b"[secret]")
        return data

    def _may_begin(self, tail: bytes) -> bool:
        return any(value.startswith(tail) for value in self._values)
