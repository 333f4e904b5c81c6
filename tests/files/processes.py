"""A real Python process for one test, that never outlives it; it talks in lines on its pipes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def python(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a script; `sys.argv[1:]` are the arguments as text. Killed at the end of the block."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def line(child: subprocess.Popen[str]) -> str:
    """Wait for the next line that the process prints; an empty text when it has ended."""
    assert child.stdout is not None
    return child.stdout.readline().strip()


def tell(child: subprocess.Popen[str], text: str) -> None:
    """Send the process a line."""
    assert child.stdin is not None
    child.stdin.write(text + "\n")
    child.stdin.flush()


def output_of(script: str, *arguments: object) -> str:
    """Run a script to its end; return what it printed. Raises `AssertionError` when it fails."""
    with python(script, *arguments) as child:
        printed, _ = child.communicate()
        assert child.returncode == 0, printed
        return printed
