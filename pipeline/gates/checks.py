"""Gate `checks`: the repository's own formatter, linter and type checker find nothing new.

A command that fails on the tree is run on the base as well, and what it finds there too does not
count against the change. Findings are compared by file and text without numbers, because lines
move.
"""

import re
from collections import Counter

from msgspec.structs import replace

from pipeline.core.evidence import CheckRun, ChecksEvidence, GateResult, GateVerdict
from pipeline.core.excerpt import excerpt
from pipeline.gates.base import GateContext, make_result
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
    runs = [
        _run(context, target, command) for target in context.affected() for command in target.checks
    ]
    known = sum(run.known for run in runs)
    good = f"{len(runs)} check(s) found nothing new"
    good += f"; {known} finding(s) were there before" if known else ""
    return make_result(
        context,
        GateName.CHECKS,
        failures=[f"{run.command}: {line}" for run in runs for line in run.new],
        unseen=[
            f"{run.command}: {run.why}" for run in runs if run.verdict is GateVerdict.COULD_NOT_LOOK
        ],
        good=good,
        not_applicable="" if runs else "no checks are declared",
        evidence=ChecksEvidence(checks=tuple(runs)),
    )


def _run(context: GateContext, target: Target, command: str) -> CheckRun:
    """Run one check; what it finds on the base as well does not count against the change."""
    now = context.bench.check(context.tree, command, target)
    outcome = CheckRun(target=target.name, command=command, verdict=GateVerdict.PASSED)
    if now.could_not_run:
        why = now.problem or f"cannot be run: {excerpt(now.output)}"
        return replace(outcome, verdict=GateVerdict.COULD_NOT_LOOK, why=why)
    if now.code == 0:
        return outcome
    before = context.bench.check(context.base_tree, command, target)
    if before.code == 0 or before.could_not_run:
        new = findings(now.output) or [f"exit status {now.code}: {excerpt(now.output)}"]
        return replace(outcome, verdict=GateVerdict.FAILED, new=tuple(new))
    known_left = Counter(map(_key, findings(before.output)))
    lines = findings(now.output)
    # It failed on the base as well, and prints no findings that could be compared.
    if not lines:
        return replace(outcome, known=1)
    new = []
    for line in lines:
        known_left[_key(line)] -= 1
        if known_left[_key(line)] < 0:
            new.append(line)
    verdict = GateVerdict.FAILED if new else GateVerdict.PASSED
    return replace(outcome, verdict=verdict, new=tuple(new), known=len(lines) - len(new))


def findings(output: str) -> list[str]:
    """Return the findings in the output of a checker: one line each, with its file.

    If nothing looks like a finding, every line that is not empty counts as one.
    """
    extracted: list[str] = []
    header = last = ""
    lines = [_ANSI.sub("", line).rstrip() for line in output.splitlines()]
    for line in lines:
        if _AT.match(line) or _WHOLE_FILE.match(line):
            extracted.append(line)
        elif _ARROW.match(line):
            extracted.append(f"{line.split('-->')[1].strip()}: {last.strip()}")
        elif _BELOW.match(line) and header:
            extracted.append(f"{header}:{line.strip()}")
        elif line and not line[0].isspace():
            header = line
        last = line or last
    return extracted or [line for line in lines if line.strip()]


def _key(line: str) -> str:
    """Return the same key for findings that differ only in their position."""
    return _NUMBER.sub("#", line)
