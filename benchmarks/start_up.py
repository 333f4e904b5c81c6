"""How long the commands take to say something, against Python itself doing nothing."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import repositories
from harness import (
    COMMANDS,
    Command,
    Contender,
    environment,
    keep,
    measure,
    options,
    show,
    show_machine,
)

NOTHING = "python -c pass"
_COMMANDS = (
    ("pipeline", "--help"),
    ("trigger_workflow", "--help"),
    ("invoke_agent", "--help"),
    ("pipeline", "status"),
    ("pipeline", "flow", "check"),
)


def command(words: Sequence[str], place: Path) -> Contender:
    """Call one of our commands in a repository that has one finished run."""
    argv = [str(COMMANDS / words[0]), *words[1:]]
    env = {"PIPELINE_STATE_DIR": str(place / "state")}
    return Contender(" ".join(words), lambda _: Command(argv, place / "repository", env))


def make_place(place: Path) -> None:
    """Make the repository, with one finished run of one stage."""
    repository = repositories.make(place, (1,))
    run = [str(COMMANDS / "trigger_workflow"), "no_ops", "Do nothing"]
    subprocess.run(run, cwd=repository, env=environment(place), check=True, capture_output=True)


def main() -> None:
    """Measure and print."""
    given = options(__doc__, rounds=15).parse_args()
    with tempfile.TemporaryDirectory(prefix="idea-to-pr-bench-") as folder:
        place = Path(folder).resolve()
        make_place(place)
        python = Contender(
            NOTHING, lambda scratch: Command([sys.executable, "-c", "pass"], scratch)
        )
        everyone = [python, *(command(words, place) for words in _COMMANDS)]
        measure(everyone, 1)
        show_machine(given.rounds)
        walls = measure(everyone, given.rounds)
    show("start-up", walls, [NOTHING])
    keep(given.json, "start_up", "start-up", walls)


if __name__ == "__main__":
    main()
