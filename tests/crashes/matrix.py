"""One crash, or two, and a resume; then the invariants over journal, repository, remote, pulls."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline.files import failpoints
from tests.crashes.small import CALLS, MADE, RUN, Small, die, hang
from tests.helpers.project import wait_for

WAYS = ("kill", "raise", "hang")
WHO = ("main", "group", "shim", "all")
NAMES = tuple(name for name in failpoints.NAMES if not name.startswith("person."))
_RESUMES_MAX = 4


class Crash(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run dies, how, what dies with it, and whether it dies once more when resumed."""

    name: str
    way: str
    who: str = "main"
    twice: bool = False

    def __str__(self) -> str:
        """Name it, for reports and for the command that repeats it."""
        return f"{self.name}:{self.way}:{self.who}" + (":twice" if self.twice else "")


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one crash.

    `reached` is False where the failpoint was not met. `lost` and `doubled` say what was;
    `repeated` counts calls of agents beyond those of a quiet run.
    """

    crash: str
    reached: bool
    lost: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    repeated: int = 0


def crashes() -> Iterator[Crash]:
    """Yield the whole matrix. An error of our own has no victims but the process itself."""
    for name in NAMES:
        for twice in (False, True):
            yield Crash(name=name, way="raise", twice=twice)
            for way in ("kill", "hang"):
                for who in WHO:
                    yield Crash(name=name, way=way, who=who, twice=twice)


def sample() -> list[Crash]:
    """Pick a crash for every failpoint, ways and victims in turn."""
    picked = []
    for number, name in enumerate(NAMES):
        of_name = [crash for crash in crashes() if crash.name == name]
        picked.append(of_name[(7 * number) % len(of_name)])
    return picked


def tried(crash: Crash, folder: Path) -> Verdict:
    """Let a run die this way, resume it to its end, and judge what is there."""
    small = Small(folder)
    kept = [b""]
    reached = _die_once(small, crash, crash.name, kept)
    if crash.twice and reached:
        later = NAMES[(NAMES.index(crash.name) + 1) % len(NAMES)]
        _die_once(small, crash, later, kept)
    return _judged(small, crash, kept, reached=reached)


def judged_after_kill(folder: Path, after_s: float, number: int) -> Verdict:
    """Kill a run, or a part of it, after so many seconds; resume it, and judge."""
    small = Small(folder)
    who = WHO[number % len(WHO)]
    crash = Crash(name=f"random-{number}", way="kill", who=who)
    process = small.begin()
    time.sleep(after_s)
    is_alive = process.poll() is None
    die(small, process, who)
    kept = [small.journal()]
    return _judged(small, crash, kept, reached=is_alive)


def _die_once(small: Small, crash: Crash, name: str, kept: list[bytes]) -> bool:
    """Start or resume the run and let it die at a failpoint; return whether it got there."""
    mark = small.folder / f"hangs.{len(kept)}"
    how = "raise" if crash.way == "raise" else "hang"
    process = small.begin(PIPELINE_FAILPOINT=f"{name}:{how}", PIPELINE_FAILPOINT_FILE=str(mark))
    if how == "raise":
        process.communicate(timeout=120)
        kept.append(small.journal())
        return process.returncode not in {0, 5}
    reached = hang(small, process, mark)
    if reached and crash.way == "hang":
        time.sleep(0.3)  # what runs beside goes on meanwhile
    if reached:
        die(small, process, crash.who)
    else:
        process.communicate(timeout=120)
    kept.append(small.journal())
    return reached


def _resumed(small: Small) -> int:
    """Resume the run until it is over, within reason; return the last exit status."""
    code = 75
    for _ in range(_RESUMES_MAX):
        process = small.begin()
        process.communicate(timeout=120)
        code = process.returncode
        if code in {0, 1, 5}:
            break
    return code


def _judged(small: Small, crash: Crash, kept: list[bytes], *, reached: bool) -> Verdict:
    """Resume a run that has died, and look at everything that it left."""
    code = _resumed(small)
    lost, doubled = [], []
    wait_for(lambda: not small.survivors(), "nothing of the run is alive", within_s=20.0)
    now = small.journal()
    lost += ["an acknowledged event"] * sum(not now.startswith(one) for one in kept)
    events = small.events(RUN)
    kinds = [one["event"] for one in events]
    may_fail = crash.way == "raise"
    ends = [one["end"] for one in events if one["event"] == "run_finished"]
    if ends != ["done"] and not (may_fail and ends == ["failed"]):
        lost.append(f"the end of the run (exit {code}, {ends})")
    if kinds.count("run_started") != 1 or len(ends) > 1:
        doubled.append("the run")
    done = [
        (one["stage"], one["attempt"])
        for one in events
        if one["event"] == "stage_finished" and one["outcome"] == "done"
    ]
    doubled += [f"the stage {stage}" for stage in {s for s, _ in done} if _times(done, stage) > 1]
    refs, pulls = small.refs(), small.pulls()
    doubled += ["a branch"] * (len(refs) > 1) + ["a pull request"] * (len(pulls) > 1)
    if ends == ["done"]:
        result = small.result()
        lost += ["the branch"] * (refs != {result["branch"]: result["head"]})
        lost += ["the pull request"] * ([one["head_commit"] for one in pulls] != [result["head"]])
        made = {path: small.git("show", f"{result['head']}:{path}") for path in MADE}
        lost += [f"the change {path}" for path, text in MADE.items() if made[path] != text]
        subjects = [commit["subject"] for commit in result["commits"]]
        doubled += ["a commit"] * (len(set(subjects)) < len(subjects))
    if small.fingerprint() != small.before:
        lost.append("a byte of the checkout")
    held = [one for one in _locks(small) if one["held"]]
    lost += [f"the lock {one['name']}" for one in held]
    calls = small.calls()
    repeated = sum(max(0, calls[stage] - CALLS[stage]) for stage in CALLS)
    if crash.who in {"main", "group"} and crash.way != "raise" and repeated:
        doubled.append(f"a call of an agent that lived on ({calls})")
    return Verdict(
        crash=str(crash),
        reached=reached,
        lost=tuple(lost),
        doubled=tuple(doubled),
        repeated=repeated,
    )


def _times(done: list[tuple[str, int]], stage: str) -> int:
    """How often a stage was accepted; those in the loop may be in each round."""
    times = sum(name == stage for name, _ in done)
    return times - (1 if stage == "dev" else 0)


def _locks(small: Small) -> list[dict[str, object]]:
    shown = small.run("pipeline", "locks", "--json")
    found: list[dict[str, object]] = msgspec.json.decode(shown.stdout)["locks"]
    return found
