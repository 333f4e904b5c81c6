"""Ideas as they come from files, standard input and the command line: text, or one clear error."""

import codecs
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import UsageProblem

_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
"""Byte order marks that tell another encoding than UTF-8."""

_MAX_BYTES = 512 * 1024


def read_file(path: Path) -> str:
    """Read an idea from a file. Raises `UsageProblem` if it is no text."""
    try:
        with path.open("rb") as file:
            return read(file, str(path))
    except OSError as exc:
        raise UsageProblem(
            f"{path} cannot be read: {exc.strerror}", f"Look at it: ls -ld {path}"
        ) from exc


def read(stream: BinaryIO, name: str) -> str:
    """Read an idea from an open file; `name` is where it comes from. Raises `UsageProblem`."""
    data = stream.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise UsageProblem(
            f"{name} is longer than {_MAX_BYTES // 1024} KiB, so it is no idea",
            "Say what is wanted, and let the repository hold what belongs to it",
        )
    return decode(data, name)


def decode(data: bytes, name: str) -> str:
    """Decode an idea, UTF-8 or UTF-16 with its mark; `name` is where it comes from.

    Raises `UsageProblem` for anything else, with what turns it into UTF-8.
    """
    encoding = next((word for mark, word in _MARKS if data.startswith(mark)), "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as exc:
        raise UsageProblem(
            f"{name} is not UTF-8: byte {exc.start} is {data[exc.start]:#04x}",
            f"Turn it into UTF-8, for example: iconv -f LATIN1 -t UTF-8 {name} > idea.md",
        ) from exc
    if "\0" in text:
        raise UsageProblem(
            f"{name} holds a NUL at character {text.index(chr(0))}, so it is no plain text",
            "If it is UTF-16 without its mark: iconv -f UTF-16LE -t UTF-8 ...",
        )
    return text


def of_words(text: str) -> str:
    """Return an idea that was typed. Raises `UsageProblem` if it is no text in UTF-8."""
    return decode(text.encode("utf-8", "surrogateescape"), "the idea")
