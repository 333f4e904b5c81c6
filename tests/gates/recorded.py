"""Requests and outputs for runners' modules, as they are without the runners themselves."""

from pathlib import Path

from pipeline.gates.runners.base import RunOutput
from pipeline.gates.runners.base import TestRequest as Request
from pipeline.language.target import Target
from pipeline.language.target import TestCommand as Command
from pipeline.language.words import Glob, Name


def requested(
    tmp_path: Path, command: str, files: dict[str, str], folder: str = "", tests: str = "test/**"
) -> Request:
    target = Target(
        name=Name("part"),
        folder=folder,
        source=(Glob("src/**"),),
        tests=(Glob(tests),),
        test=Command(command=command),
    )
    return Request(
        target=target,
        paths=tuple(files),
        read=lambda path: files[path].encode() if path in files else None,
        only=(),
        root=tmp_path / "root",
        folder=tmp_path,
        canary="c4n4ry",
    )


def printed(tmp_path: Path, stdout: str = "", stderr: str = "", code: int = 1) -> RunOutput:
    for name, text in (("out", stdout), ("err", stderr)):
        (tmp_path / name).write_text(text)
    return RunOutput(
        code=code, stdout=tmp_path / "out", stderr=tmp_path / "err", excerpt=stderr or stdout
    )
