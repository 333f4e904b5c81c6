"""Taking secrets out of what agents print and write: exact values, in a stream cut anywhere.

Which values are secret is told by the variables' names: an agent gets keys by `pass_env`, and
nothing of them may reach a log, an answer, a commit or a pull request.
"""

import re
from collections.abc import Iterable, Mapping

SHORTEST = 8
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)


def secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the secret values of an environment with the names of their variables.

    Short ones are left out.
    """
    return {
        value: name
        for name, value in environ.items()
        if _SECRET_NAME.search(name) and len(value) >= SHORTEST
    }


def redacted(text: str, values: Mapping[str, str]) -> str:
    """Put the variable's name in the place of every secret value."""
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, f"[{values[value]}]")
    return text


def held_in(data: bytes, values: Mapping[str, str]) -> list[str]:
    """Name the variables whose values stand in the data."""
    return sorted({name for value, name in values.items() if value.encode() in data})


class Stream:
    """Redacts bytes that come in pieces.

    A value that is cut by a piece's end is found all the same.
    """

    def __init__(self, values: Iterable[str]) -> None:
        """`values` are the secrets; with none, everything passes as it is."""
        self._values = sorted((value.encode() for value in values), key=len, reverse=True)
        self._longest = max((len(value) for value in self._values), default=1)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next piece; return what can be shown of it already."""
        if not self._values:
            return data
        data = self._clean(self._held + data)
        keep = next(
            (
                size
                for size in range(min(self._longest - 1, len(data)), 0, -1)
                if self._may_begin(data[-size:])
            ),
            0,
        )
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

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
