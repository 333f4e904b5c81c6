"""`./run test [--all | --portable] [pytest arguments]`: the test suite, on both cores.

`--all` adds what is marked slow, and writes to the disk; the others write to memory where there is
enough. `--portable` runs what touches processes, locks and crashes without Linux-only calls.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

_CRASH = "tests/journeys/test_crash.py::test_"
_IN_MEMORY_BYTES = 6 * 1024**3
PORTABLE = (
    "tests/core",
    "tests/process",
    "tests/files",
    f"{_CRASH}killed_in_each_stage_and_resumed_no_finished_stage_runs_again[stage.launched-developer]",
    f"{_CRASH}killed_in_each_stage_and_resumed_no_finished_stage_runs_again[stage.recorded-verify]",
    f"{_CRASH}killed_at_a_failpoint_and_resumed_the_run_ends_as_if_nothing_had_been[push.done]",
    f"{_CRASH}an_agent_that_outlives_the_pipeline_is_adopted_and_not_called_again",
    f"{_CRASH}an_agent_that_died_with_the_pipeline_is_called_again_and_counted_as_lost",
    f"{_CRASH}two_resumes_at_once_one_works_and_the_other_names_it",
)


def main(arguments: list[str]) -> int:
    """Run the tests and return pytest's exit status."""
    chosen = [argument for argument in arguments if argument not in {"--all", "--portable"}]
    marks = [] if "--all" in arguments else ["-m", "not slow"]
    if "--portable" in arguments:
        os.environ["PIPELINE_PORTABLE"] = "1"
        chosen = [*PORTABLE, *chosen]
    # Without a small chunk one worker gets hundreds of journeys at once, and the other ends idle.
    workers = ["-n", "2", "--maxschedchunk", "4"]
    memory = in_memory() if marks else None
    where = [f"--basetemp={memory}"] if memory else []
    code = int(pytest.main(["-q", *workers, *where, "--durations=5", *marks, *chosen]))
    if memory and code:
        print(f"The folders of the failed tests are in {memory}; they take memory until removed")
    elif memory:
        shutil.rmtree(memory, ignore_errors=True)
    return code


def in_memory() -> Path | None:
    """Return a folder in memory for what the tests write, or None where there is too little.

    `--all` writes to the disk, as a person's runs do.
    """
    shared = Path("/dev/shm")
    if not shared.is_dir() or shutil.disk_usage(shared).free < _IN_MEMORY_BYTES:
        return None
    return Path(tempfile.mkdtemp(prefix="idea-to-pr-tests-", dir=shared))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
