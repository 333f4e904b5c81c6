"""Source archives of real open-source projects, pinned by version and digest, kept in a cache
folder.

They come from PyPI, npm and Debian's source packages by those tools' own commands, so that whatever
mirror a machine is set up for is used.
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
    """One release: `kind` is `pypi`, `npm` or `debian`, `sha256` that of the archive file.

    Of a Debian source package it is what its authors released, without Debian's own files.
    """

    kind: str
    name: str
    version: str
    sha256: str

    def unpack(self, target: Path) -> None:
        """Lay the release's files into a folder. Raises MissingArchive."""
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(self._file()) as tar:
                tar.extractall(folder, filter="data")
            found = list(Path(folder).iterdir())
            top = found[0] if len(found) == 1 and found[0].is_dir() else Path(folder)
            shutil.copytree(top, target, dirs_exist_ok=True, symlinks=True)

    def _file(self) -> Path:
        folder = cache_folder(os.environ) / "archives"
        version = self.version.replace(":", "-")
        kept = folder / f"{self.kind}-{self.name}-{version}.tgz"
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
        match self.kind:
            case "npm":
                argv = ["npm", "pack", "--silent", f"{self.name}@{self.version}"]
            case "debian":
                argv = [*_apt(folder), "source", "--tar-only", "--only-source"]
                argv.append(f"{self.name}={self.version}")
            case _:
                argv = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary"]
                argv += [":all:", "--dest", ".", f"{self.name}=={self.version}"]
        try:
            done = subprocess.run(
                argv, check=False, cwd=folder, capture_output=True, text=True, timeout=300
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise MissingArchive(f"{self.name} {self.version} cannot be downloaded: {exc}") from exc
        files = [path for path in folder.iterdir() if path.name.endswith((".tar.gz", ".tgz"))]
        if self.kind == "debian":
            files = list(folder.glob("*.orig.tar.*[!c]"))
        if (done.returncode and self.kind != "debian") or not files:
            raise MissingArchive(
                f"{self.name} {self.version} cannot be downloaded: {done.stderr.strip()[-300:]}"
            )
        return files[0]


def _apt(folder: Path) -> list[str]:
    """Return the command of an apt that also knows source packages, from the mirrors it has.

    Its lists are kept in the cache folder; the system's own are left as they are.
    """
    kept = cache_folder(os.environ) / "apt"
    sources = kept / "sources.list.d"
    apt = ["apt-get", "--quiet", "-o", "Dir::Etc::sourcelist=/dev/null"]
    apt += ["-o", f"Dir::Etc::sourceparts={sources}", "-o", f"Dir::State::lists={kept}/lists"]
    if not sources.is_dir():
        (kept / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        sources.mkdir()
        for path in Path("/etc/apt/sources.list.d").glob("debian*.sources"):
            text = path.read_text().replace("Types: deb\n", "Types: deb-src\n")
            (sources / path.name).write_text(text)
        for path in (Path("/etc/apt/sources.list"),):
            lines = path.read_text().splitlines() if path.exists() else []
            found = [f"deb-src{line[3:]}" for line in lines if line.startswith("deb ")]
            (sources / "main.list").write_text("\n".join([*found, ""]))
        subprocess.run([*apt, "update"], check=False, cwd=folder, capture_output=True, timeout=300)
    return apt


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
