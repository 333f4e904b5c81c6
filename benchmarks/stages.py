"""What a no-op stage costs, against three floors.

Ten stages cold, one layer of many, one long chain.

The cost of a stage is (wall of the flow - wall of a flow with one stage) / (stages - 1), round by
round.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import repositories
from floors import KINDS
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

OURS = "trigger_workflow"
EVERYONE = (OURS, *(f"floor-{kind}" for kind in KINDS))
ONE, TEN = "one stage", "ten stages"
SHAPES: dict[str, tuple[int, ...]] = {ONE: (1,), TEN: (1, 1, 3, 1, 1, 1, 2)}
"""Ten stages stand as those of `idea_to_feature` do, up to its pull request."""

_FLOORS = Path(__file__).with_name("floors.py")


def ours(shape: str, layers: Sequence[int]) -> Contender:
    """Run a flow of this shape with `trigger_workflow`."""

    def prepare(folder: Path) -> Command:
        repository = repositories.make(folder, layers)
        return Command([str(COMMANDS / OURS), "no_ops", "Do nothing, many times"], repository)

    return Contender(
        _name(OURS, shape), prepare, lambda folder: repositories.missing(folder, layers)
    )


def floor(kind: str, shape: str, layers: Sequence[int]) -> Contender:
    """Do the least for a flow of this shape."""
    words = ",".join(str(size) for size in layers)
    command = [sys.executable, "-I", "-S", str(_FLOORS), kind, words]
    return Contender(
        _name(f"floor-{kind}", shape), lambda folder: Command([*command, str(folder)], folder)
    )


def contenders(shape: str, layers: Sequence[int]) -> list[Contender]:
    """Return all who run a flow of this shape: ours first."""
    return [ours(shape, layers), *(floor(kind, shape, layers) for kind in KINDS)]


def _name(who: str, shape: str) -> str:
    return f"{who}, {shape}"


def main() -> None:
    """Measure and print."""
    parser = options(__doc__, rounds=5)
    parser.add_argument("--wide", type=int, default=1000, help="stages side by side (default 1000)")
    parser.add_argument("--chain", type=int, default=500, help="stages in a row (default 500)")
    given = parser.parse_args()
    long = {
        f"one layer of {given.wide}": (1, given.wide, 1),
        f"a chain of {given.chain}": (1,) * given.chain,
    }
    shapes = {**SHAPES, **long}
    references = EVERYONE[:0:-1]
    measure(contenders(ONE, SHAPES[ONE]), 1)
    show_machine(given.rounds)
    walls = measure(
        [one for shape, layers in shapes.items() for one in contenders(shape, layers)], given.rounds
    )
    for shape, layers in shapes.items():
        whole = {who: walls[_name(who, shape)] for who in EVERYONE}
        keep(given.json, "stages", f"{shape}, whole", whole)
        if shape in SHAPES:
            show(f"{shape}, cold: from the start of the process to its end", whole, references)
            continue
        each = {who: per_stage(whole[who], walls[_name(who, ONE)], sum(layers)) for who in EVERYONE}
        show(f"{shape}: each stage", each, references)
        keep(given.json, "stages", f"{shape}, each stage", each)


if __name__ == "__main__":
    main()
