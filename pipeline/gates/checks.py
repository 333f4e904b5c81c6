"""Gate `checks`: formatter, lint, types as the repository has them.

Only what the change made worse counts.

A command that fails on the tree is run on the base as well. What it finds there, too, is not held
against the change: findings are compared by file and words, without line numbers, because lines
move.
"""

import re
from collections import Counter

from pipeline.core.events import GateResult
from pipeline.core.gist import gist
from pipeline.gates.base import GateContext, verdict
from pipeline.language.flow import GateName
from pipeline.language.target import Target

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_AT = re.compile(r"^\s*(?!\d+:\d)[^\s:(]+(?::\d+|\(\d+,\d+\))(?::\d+)?:?\s*\S.*$")
_ARROW = re.compile(r"^\s*-->\s*[^\s:]+:\d+(?::\d+)?")
_BELOW = re.compile(r"^\s+\d+:\d+\s+\S.*$")
_WHOLE_FILE = re.compile(r"^(?:\[warn\]|would reformat:?|unformatted:?)\s+\S+$", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")


def check(context: GateContext) -> GateResult:
    """Run every check of the targets that the change touches."""
    problems: list[str] = []
    known = 0
    ran = 0
    for target in context.affected():
        for command in target.checks:
            ran += 1
            worse, old = _worse(context, target, command)
            problems += [f"{command}: {line}" for line in worse]
            known += old
    good = f"{ran} check(s) found nothing new" if ran else "no checks are declared"
    good += f"; {known} finding(s) were there before" if known else ""
    return verdict(context, GateName.CHECKS, problems, good, {"checks": ran, "known": known})


def _worse(context: GateContext, target: Target, command: str) -> tuple[list[str], int]:
    """Return what a check finds on the tree and not on the base, and how much of it was there before."""
    now = context.bench.checked(context.tree, command, target)
    if now.cannot_run:
        return [now.problem or f"cannot be run: {gist(now.output)}"], 0
    if now.code == 0:
        return [], 0
    before = context.bench.checked(context.base_tree, command, target)
    if before.code == 0 or before.cannot_run:
        return findings(now.output) or [f"exit status {now.code}: {gist(now.output)}"], 0
    left = Counter(map(_key, findings(before.output)))
    found = findings(now.output)
    if not found:
        return [], 1
    worse = []
    for line in found:
        left[_key(line)] -= 1
        if left[_key(line)] < 0:
            worse.append(line)
    return worse, len(found) - len(worse)


def findings(output: str) -> list[str]:
    """Take the findings out of what a checker printed, a line each with its file.

    All lines if none looks like one.
    """
    found: list[str] = []
    header = last = ""
    lines = [_ANSI.sub("", line).rstrip() for line in output.splitlines()]
    for line in lines:
        if _AT.match(line) or _WHOLE_FILE.match(line):
            found.append(line)
        elif _ARROW.match(line):
            found.append(f"{line.split('-->')[1].strip()}: {last.strip()}")
        elif _BELOW.match(line) and header:
            found.append(f"{header}:{line.strip()}")
        elif line and not line[0].isspace():
            header = line
        last = line or last
    return found or [line for line in lines if line.strip()]


def _key(line: str) -> str:
    """Make two findings alike that differ only in where they stand."""
    return _NUMBER.sub("#", line)
