"""Whole processes, measured in interleaved rounds (A B C, A B C): medians, their range, and ratios.

A benchmark names contenders; each makes itself ready in a folder of its own, is timed from the
start of its process to its end, and is then asked whether it really did its work. Nothing here
judges a figure.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

COMMANDS = Path(sys.executable).parent
"""Where `pipeline` and the others lie: beside the Python that runs the benchmark."""

Series = Mapping[str, Sequence[float]]
"""Contender -> one figure for each round, in the order of the rounds."""


@dataclass(frozen=True)
class Command:
    """What is timed: one process, and all that it starts and waits for."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)


def _nothing_missing(_folder: Path) -> str:
    return ""


@dataclass(frozen=True)
class Contender:
    """Something to measure.

    `prepare` makes everything ready in a new folder and is not timed. `check` looks at the folder
    afterwards and says what is missing of the work; an empty text means that all of it is there.
    """

    name: str
    prepare: Callable[[Path], Command]
    check: Callable[[Path], str] = _nothing_missing


def options(about: str, rounds: int) -> argparse.ArgumentParser:
    """Make the parser for what all benchmarks share: `--rounds` and `--json`."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(
        "--rounds", type=int, default=rounds, help=f"rounds of all contenders (default {rounds})"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="append every figure as a line of JSON"
    )
    return parser


def environment(folder: Path) -> dict[str, str]:
    """Build the environment of all contenders.

    This Python's commands first, a state folder and HOME of their own.
    """
    return {
        "PATH": f"{COMMANDS}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PIPELINE_STATE_DIR": str(folder / "state"),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }


def measure(contenders: Sequence[Contender], rounds: int) -> dict[str, list[float]]:
    """Run all contenders in turn, `rounds` times; return their seconds.

    Ends the benchmark when one fails.
    """
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            _progress(f"round {number + 1} of {rounds}: {contender.name}")
            seconds[contender.name].append(_once(contender))
    _progress("")
    return seconds


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _once(contender: Contender) -> float:
    """Time one run in a folder of its own.

    What earlier runs left to be written is on the disk before it starts.
    """
    folder = Path(tempfile.mkdtemp(prefix="idea-to-pr-bench-")).resolve()
    try:
        command = contender.prepare(folder)
        env = {**environment(folder), **command.env}
        with (folder / "output.log").open("wb") as output:
            os.sync()
            started = time.perf_counter()
            done = subprocess.run(
                command.argv,
                cwd=command.cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
            seconds = time.perf_counter() - started
        missing = f"exit status {done.returncode}" if done.returncode else contender.check(folder)
        if missing:
            tail = (folder / "output.log").read_text(errors="replace")[-2000:]
            sys.exit(f"\n{contender.name}: {missing}\n{tail}")
        return seconds
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def per_stage(whole: Sequence[float], one: Sequence[float], stages: int) -> list[float]:
    """Return what each further stage costs per round, from the walls of `stages` and of one."""
    return [(many - single) / (stages - 1) for many, single in zip(whole, one, strict=True)]


def ratios(these: Sequence[float], those: Sequence[float]) -> list[float]:
    """Divide round by round, so that load which comes and goes meets both sides."""
    return [this / that for this, that in zip(these, those, strict=True)]


def show_machine(rounds: int) -> None:
    """Print what the figures below depend on."""
    load = os.getloadavg()[0]
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    print(
        f"{os.cpu_count()} cores, load {load:.1f}, {system}, Python "
        f"{platform.python_version()}, {rounds} round(s)"
    )


def show(title: str, series: Series, references: Sequence[str]) -> None:
    """Print a table.

    Milliseconds as median (min-max), and how many times each reference that is.
    """
    heads = "".join(f"  {'x ' + name:>22}" for name in references)
    print(f"\n{title}\n{'':<24}{'ms':>10}  {'(min-max)':<19}{heads}")
    for name, values in series.items():
        spread = f"({min(values) * 1000:.2f}-{max(values) * 1000:.2f})"
        against = "".join(f"  {_times(ratios(values, series[other])):>22}" for other in references)
        print(f"{name:<24}{median(values) * 1000:>10.2f}  {spread:<19}{against}")


def _times(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def keep(file: Path | None, benchmark: str, what: str, series: Series) -> None:
    """Append one line of JSON for each contender to `file`, if there is one."""
    if file is None:
        return
    with file.open("a") as lines:
        for name, values in series.items():
            row = {"benchmark": benchmark, "what": what, "contender": name, "seconds": list(values)}
            lines.write(json.dumps(row) + "\n")
