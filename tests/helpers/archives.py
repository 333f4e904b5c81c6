"""Source archives of real open-source projects, pinned by version and digest, kept in a cache
folder.

They come from PyPI and npm by those tools' own commands, so that whatever mirror a machine is set
up for is used.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.agent_clis import cache_folder


class MissingArchive(Exception):  # noqa: N818 -- a reason to skip, not an error
    """The archive cannot be had here; the text is the reason to skip a test with."""


@dataclass(frozen=True)
class Archive:
    """One release: `kind` is `pypi` or `npm`, `sha256` that of the archive file."""

    kind: str
    name: str
    version: str
    sha256: str

    def unpack(self, target: Path) -> None:
        """Lay the release's files into a folder. Raises MissingArchive."""
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(self._file()) as tar:
                tar.extractall(folder, filter="data")
            (top,) = Path(folder).iterdir()
            shutil.copytree(top, target, dirs_exist_ok=True)

    def _file(self) -> Path:
        folder = cache_folder(os.environ) / "archives"
        kept = folder / f"{self.kind}-{self.name}-{self.version}.tgz"
        if not kept.exists() or _digest(kept) != self.sha256:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as name:
                self._download(Path(name)).replace(kept)
        if (found := _digest(kept)) != self.sha256:
            raise MissingArchive(
                f"{self.name} {self.version} has the digest {found}, not the pinned one"
            )
        return kept

    def _download(self, folder: Path) -> Path:
        python = str(Path(sys.base_prefix) / "bin" / "python3")
        pip = [
            python,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--dest",
            ".",
        ]
        argv = [*pip, f"{self.name}=={self.version}"]
        if self.kind == "npm":
            argv = ["npm", "pack", "--silent", f"{self.name}@{self.version}"]
        try:
            done = subprocess.run(
                argv, check=False, cwd=folder, capture_output=True, text=True, timeout=300
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise MissingArchive(f"{self.name} {self.version} cannot be downloaded: {exc}") from exc
        files = [path for path in folder.iterdir() if path.name.endswith((".tar.gz", ".tgz"))]
        if done.returncode or not files:
            raise MissingArchive(
                f"{self.name} {self.version} cannot be downloaded: {done.stderr.strip()[-300:]}"
            )
        return files[0]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
