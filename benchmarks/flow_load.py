"""What it takes to prove a flow of 1,000 stages, and to load one that is proven already."""

import subprocess
import sys
import tempfile
from pathlib import Path

import repositories
from harness import Command, Contender, environment, keep, measure, options, show, show_machine

LAYERS = (50,) * 20
_HEAD = (
    "from pathlib import Path; from pipeline import wiring; from pipeline.engine.ground import "
    "flows; "
)
_WORLD = "world = wiring.world(Path('.')); "
JOBS = {
    "neither": "pass",
    "load": "flows.compiled(world, flows.read(world), 'no_ops')",
    "check": "flows.check(world, flows.read(world))",
}


def contender(name: str, place: Path, code: str) -> Contender:
    """Start Python in the repository and do one thing with its flow."""
    argv = [sys.executable, "-c", _HEAD + _WORLD + code]
    return Contender(
        name,
        lambda _: Command(argv, place / "repository", {"PIPELINE_STATE_DIR": str(place / "state")}),
    )


def main() -> None:
    """Measure and print."""
    given = options(__doc__, rounds=9).parse_args()
    with tempfile.TemporaryDirectory(prefix="idea-to-pr-bench-") as folder:
        place = Path(folder).resolve()
        repository = repositories.make(place, LAYERS, 3)
        everyone = [contender(name, place, code) for name, code in JOBS.items()]
        first = everyone[1].prepare(place)
        subprocess.run(
            first.argv, cwd=repository, env={**environment(place), **first.env}, check=True
        )
        show_machine(given.rounds)
        walls = measure(everyone, given.rounds)
    show(f"a flow of {sum(LAYERS)} stages and 2,850 edges, whole processes", walls, ["neither"])
    keep(given.json, "flow_load", "1,000 stages", walls)


if __name__ == "__main__":
    main()
