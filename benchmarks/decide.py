"""What a decision costs.

Whole runs of layered graphs through `decide` and `RunState`, without engine or disk.

Each stage needs three of the layer before it, so 10,000 stages have 30,000 edges. The cost of a
stage is the time of the whole run divided by the stages; near-linear means that it hardly grows
with the graph.
"""

import argparse
import time
from datetime import UTC, datetime

from pipeline.core.decide import Finish, Start, decide
from pipeline.core.events import RunStarted, StageFinished, StageStarted
from pipeline.core.fold import apply, begin
from pipeline.core.outcomes import Outcome
from pipeline.language.compiler import compile_plan
from pipeline.language.flow import Flow, Limits, Lock, Stage, Workflow
from pipeline.language.plan import Plan
from pipeline.language.words import Name

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
WIDTH = 50


def layered(stages: int, *, locks: int) -> Plan:
    """Make layers of 50 stages, each needing three of the layer before.

    With locks, every stage wants one of them.
    """
    names = [f"s{number}" for number in range(stages)]
    by_name: dict[str, Stage] = {}
    for number, name in enumerate(names):
        before = number - number % WIDTH - WIDTH
        needs = (
            [Name(names[before + (number + step) % WIDTH]) for step in (0, 7, 19)]
            if before >= 0
            else []
        )
        lock = (Name(f"lock{number % locks}"),) if locks else ()
        by_name[name] = Stage(run="true", needs=tuple(dict.fromkeys(needs)), lock=lock)
    flow = Flow(
        version=1,
        targets=(),
        workflows={"main": Workflow(stages=by_name)},
        locks={f"lock{number}": Lock() for number in range(locks)},
        limits=Limits(parallel=20),
    )
    return compile_plan(flow, "main")


def run(plan: Plan) -> float:
    """Play a run in which everything goes well; return the seconds it took."""
    started = time.perf_counter()
    begun = RunStarted(
        at=NOON, run_id="r", workflow="main", feature="f", idea="i", base="b", base_branch="main"
    )
    state = begin(plan, begun)
    while state.end is None:
        commands = decide(state, NOON, plan.parallel)
        for command in commands:
            if isinstance(command, Start):
                apply(state, StageStarted(at=NOON, stage=command.stage, attempt=1))
            elif isinstance(command, Finish):
                return time.perf_counter() - started
        stage = next(iter(state.agenda.running))
        apply(state, StageFinished(at=NOON, stage=stage, attempt=1, outcome=Outcome.DONE))
    return time.perf_counter() - started


def main() -> None:
    """Measure and print, the smallest graph as 1.0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default 3); the best counts")
    given = parser.parse_args()
    for locks in (0, 1, 40):
        print(f"layers of {WIDTH}, {locks or 'no'} lock(s)")
        unit = 0.0
        for stages in (100, 1_000, 10_000):
            plan = layered(stages, locks=locks)
            each = min(run(plan) for _ in range(given.rounds)) / stages
            unit = unit or each
            print(f"  {stages:>6} stages  {each * 1e6:8.1f} us a stage  {each / unit:5.2f} x")


if __name__ == "__main__":
    main()
