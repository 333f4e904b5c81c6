"""What a stage costs in a graph with many edges, against one in a single wide layer.

2,000 no-op stages in layers of 50, each needing three of the layer before it (some 6,000 edges),
and 1,000 side by side. The cost of a stage is (wall of the flow - wall of a flow with one stage) /
(stages - 1), round by round.
"""

from collections.abc import Sequence
from pathlib import Path

import repositories
from harness import (
    COMMANDS,
    Command,
    Contender,
    keep,
    measure,
    options,
    per_stage,
    show,
    show_machine,
)

FAN_IN = 3
LAYER = 50


def ours(name: str, layers: Sequence[int], fan_in: int = 0) -> Contender:
    """Run a flow of this shape."""

    def prepare(folder: Path) -> Command:
        repository = repositories.make(folder, layers, fan_in)
        return Command(
            [str(COMMANDS / "trigger_workflow"), "no_ops", "Do nothing, many times"], repository
        )

    return Contender(name, prepare, lambda folder: repositories.missing(folder, layers))


def main() -> None:
    """Measure and print."""
    parser = options(__doc__, rounds=3)
    parser.add_argument("--stages", type=int, default=2000, help="stages in layers (default 2000)")
    parser.add_argument("--wide", type=int, default=1000, help="stages side by side (default 1000)")
    given = parser.parse_args()
    layered, wide = (LAYER,) * (given.stages // LAYER), (1, given.wide, 1)
    contenders = [ours("one", (1,)), ours("wide", wide), ours("layered", layered, FAN_IN)]
    measure(contenders[:1], 1)
    show_machine(given.rounds)
    walls = measure(contenders, given.rounds)
    each = {
        "wide": per_stage(walls["wide"], walls["one"], sum(wide)),
        "layered": per_stage(walls["layered"], walls["one"], sum(layered)),
    }
    show(f"each stage: {sum(layered)} in layers, {sum(wide)} side by side", each, ["wide"])
    keep(given.json, "layers", "each stage", each)


if __name__ == "__main__":
    main()
