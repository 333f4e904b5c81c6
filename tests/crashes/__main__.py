"""`./run crashes [--full] [--kills N] [--simulate N] [--seed S] [CRASH ...]`: let runs die.

Without a word it tries a sample of the matrix. `--full` tries all of it, 2,000 random kills and
100,000 seeds of the simulation. `--write` puts the table into `docs/reference/crash-matrix.md`.
"""

import argparse
import collections
import random
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.crashes.matrix import Crash, Verdict, crashes, judged_after_kill, sample, tried
from tests.crashes.simulate import simulate

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "crash-matrix.md"
_FULL_KILLS, _FULL_SEEDS = 2_000, 100_000
_KILL_WITHIN_S = 2.0


def main(arguments: Sequence[str]) -> int:
    """Try crashes, print what is wrong and a table; return 1 if anything was lost or doubled."""
    parser = argparse.ArgumentParser(prog="./run crashes", description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--kills", type=int, default=0, metavar="N")
    parser.add_argument("--simulate", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("crash", nargs="*", help="NAME:WAY:WHO[:twice], as it is printed")
    asked = parser.parse_args(arguments)
    seeds = asked.simulate or (_FULL_SEEDS if asked.full else 0)
    if seeds and simulate(range(asked.seed, asked.seed + seeds)) >= 0:
        return 1
    if asked.simulate and not asked.full and not asked.kills and not asked.crash:
        print(f"{seeds} seeds from {asked.seed}: no rule is broken")
        return 0
    wanted = sample()
    if asked.full:
        wanted = list(crashes())
    if asked.crash:
        wanted = [one for one in crashes() if str(one) in asked.crash]
    verdicts = _all(wanted)
    kills = asked.kills or (_FULL_KILLS if asked.full else 0)
    killed = _random_kills(kills, asked.seed) if kills else []
    text = _table(verdicts, killed, seeds)
    print(text)
    if asked.write:
        PAGE.write_text(text)
    return int(any(one.lost or one.doubled for one in (*verdicts, *killed)))


def _all(wanted: Iterable[Crash]) -> list[Verdict]:
    """Try them, two at once."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(_one, wanted))


def _one(crash: Crash) -> Verdict:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        verdict = tried(crash, Path(folder) / "small")
    _tell(verdict)
    return verdict


def _tell(verdict: Verdict) -> None:
    if verdict.lost or verdict.doubled:
        print(f"{verdict.crash}: lost {verdict.lost}, doubled {verdict.doubled}", file=sys.stderr)
        print(f"again: python -m tests.crashes {verdict.crash}", file=sys.stderr)


def _random_kills(count: int, seed: int) -> list[Verdict]:
    """Kill runs at random moments, whoever and however often, until so many kills were made."""
    rnd = random.Random(seed)  # noqa: S311 - no secret
    jobs = [(number, rnd.random()) for number in range(count)]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(_kill_one, jobs))


def _kill_one(job: tuple[int, float]) -> Verdict:
    number, share = job
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        verdict = judged_after_kill(Path(folder) / "small", share * _KILL_WITHIN_S, number)
    _tell(verdict)
    return verdict


def _table(verdicts: Sequence[Verdict], killed: Sequence[Verdict], seeds: int) -> str:
    """Write the page: for each failpoint what was tried and what came of it."""
    rows = collections.defaultdict(list)
    for one in verdicts:
        rows[one.crash.partition(":")[0]].append(one)
    if killed:
        rows["at random moments"] = list(killed)
    lines = [
        "# Crash matrix",
        "",
        "<!-- Written by `./run crashes --write`; do not edit. -->",
        "",
        "A small run (two agents, two stages at once, a loop with a red round, a push, a pull request) dies",
        "at a failpoint: by SIGKILL, by an error of our own, or hanging until it is killed; the main process",
        "alone, with its helper, with the shims, or with everything that runs; once, or once more when it is",
        "resumed. Then it is resumed to its end, and journal, repository, remote and pull requests are",
        "looked at. *Lost*: an acknowledged event, a change, the branch, the pull request, a byte of the",
        "checkout, a lock that stays. *Doubled*: a run, a finished stage, a branch, a pull request, a call",
        "of an agent that was still alive. *Repeated*: calls of agents that had been killed.",
        "",
        f"Last written with {len(verdicts)} crashes, {len(killed)} random kills and {seeds} seeds",
        "of the simulated scheduler.",
        "",
        "| failpoint | crashes | reached | lost | doubled | repeated |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, ones in rows.items():
        sums = [
            len(ones), sum(one.reached for one in ones), sum(bool(one.lost) for one in ones),
            sum(bool(one.doubled) for one in ones), sum(one.repeated for one in ones),
        ]  # fmt: skip
        lines.append(f"| {name} | {' | '.join(map(str, sums))} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
