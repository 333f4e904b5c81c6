"""The conformance suite of the flow language: one file in `tests/flows/` each, run through the
command line.

A wrong flow has a `§` before each place that an error must point at, and in the order of these
marks lines that say which: `# error CODE a part of the message`. A right flow says what is to
happen:

# $ COMMAND          RUN stands for the newest run; without one: trigger_workflow main "an idea" #
exit N             the command's exit status # says TEXT          somewhere in what it printed #
stage NAME STATE   in the run's result, after it # order A B ...      these stages were started,
first in this order # never A B ...      these were not started at all # times A N          how
often a stage was started # changed PATH ...   exactly these files differ on the run's branch from
its base

Agents are played by `agent.sh`, which does what the stage's variable `DO` says.
"""

import json
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from _pytest.mark.structures import ParameterSet

from tests.helpers.bare import Bare

FOLDER = Path(__file__).parent / "flows"
FILES = sorted(FOLDER.glob("*.yaml"))
WRONG = [path for path in FILES if "# error " in path.read_text()]
RIGHT = [path for path in FILES if path not in WRONG]
FIRST = '$ trigger_workflow main "an idea"'
ERROR = re.compile(
    r"^error\[(F\d+)\]: (.*)\n +--> agents/flow\.yaml:(\d+):(\d+)((?:\n.+)*)", re.MULTILINE
)


class Step(msgspec.Struct):
    """One command with what is expected of it."""

    command: list[str]
    wants: list[tuple[str, list[str]]]


def expected_lines(text: str) -> list[str]:
    return [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]


def steps(text: str) -> list[Step]:
    found: list[Step] = []
    lines = expected_lines(text)
    for line in lines if lines[0].startswith("$ ") else [FIRST, *lines]:
        word, _, rest = line.partition(" ")
        if word == "$":
            found.append(Step(shlex.split(rest), []))
        else:
            found[-1].wants.append((word, [rest] if word == "says" else rest.split()))
    return found


def some(paths: Sequence[Path], *, one_in: int) -> list[ParameterSet]:
    """Return the cases of a test; all but one in some are run by `--all` alone."""
    return [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if number % one_in else [])
        for number, path in enumerate(paths)
    ]


def test_there_are_as_many_cases_as_promised() -> None:
    assert len(FILES) >= 120
    assert len(WRONG) >= len(FILES) // 2 - 5


@pytest.mark.parametrize("path", some(WRONG, one_in=3))
def test_a_wrong_flow_has_an_error_at_every_marked_place(path: Path, tmp_path: Path) -> None:
    marked = path.read_text()
    places = [
        (number, len(line[: found.start()].replace("§", "")) + 1)
        for number, line in enumerate(marked.splitlines(), 1)
        for found in re.finditer("§", line)
    ]
    bare = Bare(tmp_path, marked.replace("§", ""))
    done = bare.run("pipeline", "flow", "check")
    assert done.returncode == 2, done.stdout + done.stderr
    reported = [
        (code, (int(line), int(column)), f"{message}{rest}")
        for code, message, line, column, rest in ERROR.findall(done.stderr)
    ]
    wanted = [
        line.split(" ", 2)[1:] for line in expected_lines(marked) if line.startswith("error ")
    ]
    assert [(code, place) for code, place, _ in reported] == [
        (code, place) for (code, *_), place in zip(wanted, places, strict=True)
    ], done.stderr
    for (_, _, error), (_, *part) in zip(reported, wanted, strict=True):
        assert not part or part[0] in error, error
    assert bare.run_ids() == []


@pytest.mark.parametrize("path", some(RIGHT, one_in=5))
def test_a_right_flow_does_what_it_says(path: Path, tmp_path: Path) -> None:
    text = path.read_text()
    bare = Bare(tmp_path, text)
    for step in steps(text):
        done = bare.run(*(word.replace("RUN", bare.newest()) for word in step.command))
        shown = done.stdout + done.stderr
        for word, rest in step.wants:
            hold(bare, word, rest, done, shown)


def hold(
    bare: Bare, word: str, rest: list[str], done: "subprocess.CompletedProcess[str]", shown: str
) -> None:
    """Hold one expectation."""
    match word:
        case "exit":
            assert done.returncode == int(rest[0]), shown
        case "says":
            assert rest[0] in shown, shown
        case "stage":
            assert bare.result()["stages"][rest[0]]["state"] == rest[1], json.dumps(
                bare.result()["stages"], indent=1
            )
        case "order":
            first = list(dict.fromkeys(bare.started()))
            assert [stage for stage in first if stage in rest] == rest, first
        case "never":
            assert not set(rest) & set(bare.started()), shown
        case "times":
            assert bare.started().count(rest[0]) == int(rest[1]), bare.started()
        case "changed":
            assert bare.changed() == sorted(rest), shown
        case _:
            raise AssertionError(f"what is {word!r}?")
