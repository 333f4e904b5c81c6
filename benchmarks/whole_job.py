"""A whole job, from the idea to the pull request, against a bash script that does the same work.

Both start from the demo's sample repository and remote, play the same cassette (one process an
agent), run the tests as often, and push two commits. After each run it is counted that both did as
much.
"""

import subprocess
from pathlib import Path

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

from pipeline.backends import cassette_player
from pipeline.demo import stage_set
from pipeline.wiring import shipped

OURS, BASH = "trigger_workflow", "bash"
WORK = "12 agents, 5 test runs, 2 commits pushed"
_SCRIPT = Path(__file__).with_name("whole_job.sh")


def prepare_ours(folder: Path) -> Command:
    """Set the demo's stage for `trigger_workflow`.

    Single faults are left out, because the script tries none.
    """
    repository, _ = stage_set.set_up(folder, shipped())
    flow = repository / "agents" / "flow.yaml"
    command = "    test: python -m pytest -q\n"
    flow.write_text(flow.read_text().replace(command, f"{command}    proof: {{faults: 0}}\n"))
    cassette = ["--cassette", str(stage_set.CASSETTE)]
    argv = [
        str(COMMANDS / OURS),
        "idea_to_feature",
        stage_set.idea(),
        "--feature",
        "risk-monitor",
        *cassette,
    ]
    return Command(argv, repository)


def prepare_bash(folder: Path) -> Command:
    """Set the demo's stage for the script; the tests see the environment that ours gives them."""
    _, remote = stage_set.set_up(folder, shipped())
    work = folder / "work"
    work.mkdir()
    argv = [
        "bash",
        str(_SCRIPT),
        str(remote),
        str(work),
        str(stage_set.CASSETTE),
        cassette_player.__file__,
    ]
    identity = {
        f"GIT_{who}_{what}": "demo@localhost"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    return Command(argv, folder, {"PYTHONDONTWRITEBYTECODE": "1", **identity})


def check_ours(folder: Path) -> str:
    """Count what `trigger_workflow` did."""
    (work,) = (folder / "state" / "repos").glob("*/runs/*")
    agents = len(list((work / "attempts").rglob("exit.json")))
    return _complaint(folder, agents, len(list((work / "gate" / "runs").iterdir())))


def check_bash(folder: Path) -> str:
    """Count what the script did."""
    work = folder / "work"
    return _complaint(
        folder, len(list(work.glob("*.answer.md"))), len(list(work.glob("*.tests.log")))
    )


def _complaint(folder: Path, agents: int, test_runs: int) -> str:
    git = [
        "git",
        "-C",
        str(folder / "trading.git"),
        "rev-list",
        "--count",
        "--branches=feature/*",
        "^main",
    ]
    commits = int(
        subprocess.run(git, env=environment(folder), check=True, capture_output=True).stdout
    )
    did = f"{agents} agents, {test_runs} test runs, {commits} commits pushed"
    return "" if did == WORK else f"{did}; it should be {WORK}"


def main() -> None:
    """Measure and print."""
    given = options(__doc__, rounds=7).parse_args()
    everyone = [
        Contender(OURS, prepare_ours, check_ours),
        Contender(BASH, prepare_bash, check_bash),
    ]
    measure(everyone, 1)
    show_machine(given.rounds)
    print(f"each: {WORK}")
    walls = measure(everyone, given.rounds)
    show("a whole job", walls, [BASH])
    keep(given.json, "whole_job", "a whole job", walls)


if __name__ == "__main__":
    main()
