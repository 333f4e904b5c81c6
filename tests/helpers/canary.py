"""Look for a planted secret in every byte that was written: plain, encoded, in names, in git."""

import base64
import json
import os
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote


def forms(secret: str) -> dict[str, bytes]:
    """The forms of a secret, made otherwise than the product makes them."""
    data = secret.encode()
    found = {
        "plain": data,
        "url": quote(secret, safe="").encode(),
        "json": json.dumps(secret)[1:-1].encode(),
        "hex": data.hex().encode(),
    }
    for offset in range(3):
        one = base64.b64encode(b"A" * offset + data + b"A")
        other = base64.b64encode(b"z" * offset + data + b"z")
        same = [a if a == b else 0 for a, b in zip(one, other, strict=True)]
        found[f"base64+{offset}"] = max(bytes(same).split(b"\0"), key=len)
    return found


def places(secret: str, *folders: Path) -> list[str]:
    """Where a secret stands below some folders, in whatever form: names, files, objects of git."""
    return [
        f"{where}: {form}"
        for folder in folders
        for where, data in _everything(folder)
        for form, value in forms(secret).items()
        if value in data or value in b"".join(data.split())
    ]


def _everything(folder: Path) -> Iterator[tuple[str, bytes]]:
    for here, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield f"the name {here}/{name}", os.fsencode(name)
        for name in files:
            path = Path(here, name)
            if path.is_symlink():
                yield str(path), os.fsencode(path.readlink())
            elif path.is_file():
                yield str(path), path.read_bytes()
                if path.parent.parent.name == "objects" and len(path.parent.name) == 2:
                    yield f"inside {path}", zlib.decompress(path.read_bytes())
        if Path(here, "objects").is_dir() and Path(here, "HEAD").is_file():
            yield f"the objects of {here}", _objects(Path(here))


def _objects(git_dir: Path) -> bytes:
    command = ["git", f"--git-dir={git_dir}", "cat-file", "--batch-all-objects", "--batch"]
    return subprocess.run(command, capture_output=True, check=False).stdout
