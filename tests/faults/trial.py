"""Tries faults: each in a copy of the repository, where its test has to go from green to red."""

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.faults.table import ROOT, Fault, with_fault

PARTS = ("pipeline", "tests", "agents", "agent_prompts", "docs", "benchmarks")
FILES = ("pyproject.toml", "README.md", "CHANGELOG.md", "AGENTS.md", "LICENSE", "run")
AT_ONCE = 2
_TIMEOUT_S = 300
_PIECE = 20
"""So many tests are run together to see that they are green; in one piece they take too long."""

_NOTICED = 1
_MEANINGS = {0: "is not noticed", 2: "breaks the collection of", 4: "has no", 5: "has no"}
"""What pytest's exit status says about a fault, other than that its test failed."""


class Trials:
    """Copies of the repository to put faults into, used in turns."""

    def __init__(self, folder: Path) -> None:
        """Make the copies below a folder."""
        self._free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(AT_ONCE):
            copy = folder / str(number)
            for name in PARTS:
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, copy / name, ignore=ignored)
            for name in FILES:
                shutil.copy2(ROOT / name, copy / name)
            self._free.put(copy)

    def why_not_green(self, tests: Sequence[str]) -> str:
        """Run tests as the code is; return what pytest printed when they do not all pass."""
        with self._copy() as copy:
            status, printed = _pytest(copy, tests)
        return printed if status else ""

    def why_not_red(self, fault: Fault) -> str:
        """Run a fault's test with the fault; say what is wrong unless it goes red."""
        with self._copy() as copy:
            path = copy / fault.file
            right = path.read_text()
            try:
                path.write_text(with_fault(fault, copy))
                status, printed = _pytest(copy, [fault.test])
            finally:
                path.write_text(right)
        if status == _NOTICED:
            return ""
        meaning = _MEANINGS.get(status, f"ends with {status}")
        return f"{fault.id}: {meaning} {fault.test}\n{printed if status else ''}"

    @contextmanager
    def _copy(self) -> Iterator[Path]:
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)


def problems(faults: Sequence[Fault]) -> Iterator[tuple[Fault, str]]:
    """Try faults, two at a time; yield each with what is wrong, empty when its test noticed it.

    Raises `ValueError` when a test is not green without any fault.
    """
    noticed = [fault for fault in faults if fault.test]
    tests = list(dict.fromkeys(fault.test for fault in noticed))
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        trials = Trials(Path(name))
        pieces = [tests[at : at + _PIECE] for at in range(0, len(tests), _PIECE)]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for printed in threads.map(trials.why_not_green, pieces):
                if printed:
                    raise ValueError(f"not green without any fault:\n{printed}")
            yield from zip(noticed, threads.map(trials.why_not_red, noticed), strict=True)


def _pytest(root: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Run tests in a copy, whose package is the one that they and all they start import."""
    env = {
        **os.environ,
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    folder = root.with_name(f"{root.name}.tmp")
    options = ["-q", "-x", "--tb=short", f"--basetemp={folder}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=root,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=_TIMEOUT_S)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        status, printed = -signal.SIGKILL, f"not over after {_TIMEOUT_S} s\n"
    _end_all_below(folder)
    return status, printed


def _end_all_below(folder: Path) -> None:
    """End what a test has left running because of a fault; found by its folder, on Linux only."""
    for path in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if path.readlink().is_relative_to(folder):
                os.kill(int(path.parent.name), signal.SIGKILL)
