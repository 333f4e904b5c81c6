"""The scheduler on a virtual clock, from one seed: agents that fail, lose, ask, wait for quotas and
locks, persons who cancel and answer; every rule has an oracle (`tests/core/test_decide_walk.py`).
"""

import sys
from collections.abc import Iterable
from random import Random

from tests.core.test_decide_walk import Walk, random_answer, random_plan


def simulate(seeds: Iterable[int]) -> int:
    """Walk once for each seed; return the first seed that breaks a rule, or -1."""
    for seed in seeds:
        rnd = Random(seed)  # noqa: S311 - no secret
        invoked = 3 if seed % 10 == 0 else 0
        try:
            Walk(random_plan(rnd), random_answer, rnd, invoked=invoked).run()
        except Exception as exc:  # noqa: BLE001 - whatever breaks a rule
            print(f"seed {seed}: {type(exc).__name__}: {exc}", file=sys.stderr)
            print(f"again: python -m tests.crashes --simulate 1 --seed {seed}", file=sys.stderr)
            return seed
    return -1
