"""`./run test [--all | --portable] [pytest arguments]`: the test suite, on both cores.

`--all` adds what is marked slow; `--portable` runs what touches processes, locks and crashes
without Linux-only calls.
"""

import os
import sys

import pytest

_CRASH = "tests/journeys/test_crash.py::test_"
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
    return int(pytest.main(["-q", *workers, "--durations=5", *marks, *chosen]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
