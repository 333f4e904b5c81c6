"""`./run test [--all] [pytest arguments]`: the test suite, on both cores; `--all` adds what is marked slow."""

import sys

import pytest


def main(arguments: list[str]) -> int:
    """Run the tests and return pytest's exit status."""
    chosen = [argument for argument in arguments if argument != "--all"]
    marks = [] if "--all" in arguments else ["-m", "not slow"]
    return int(pytest.main(["-q", "-n", "2", "--durations=5", *marks, *chosen]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
