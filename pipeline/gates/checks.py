"""Gate `checks`: the repository's own formatter, linter and type checker find nothing new.

A command that fails on the tree is run on the base as well, and what it finds there too does not
count against the change. A check that could not look has not passed: its tool is missing, or it
stopped at an old finding before it came to the new ones.
"""

import re
from difflib import SequenceMatcher

from msgspec.structs import replace

from pipeline.core.evidence import CheckRun, ChecksEvidence, GateResult, GateVerdict
from pipeline.core.excerpt import excerpt
from pipeline.gates.base import GateContext, make_result
from pipeline.gates.checker_output import findings, new_findings, parts_of, why_not_looked
from pipeline.language.flow import GateName
from pipeline.language.target import Target
from pipeline.repo.store import TreeChange

_ALIKE = 0.6
"""The share of lines from which on a new file is taken for a removed one that was renamed."""

_STEPS = re.compile(r"^(?:\S*/)?(?:make|npm|pnpm|yarn|bun|tox|nox|just|task|sh|bash)\b|^\./|\.sh\b")


def check(context: GateContext) -> GateResult:
    """Run every check of the targets that the change touches."""
    runs = [
        _run(context, target, part)
        for target in context.affected()
        for command in target.checks
        for part in parts_of(command)
    ]
    known = sum(run.known for run in runs)
    stopped = [run for run in runs if run.verdict is GateVerdict.NOT_APPLICABLE]
    good = f"{len(runs) - len(stopped)} check(s) found nothing new"
    good += f"; {known} finding(s) were there before" if known else ""
    for why in dict.fromkeys(run.why for run in stopped):
        good += f"; {why}: {', '.join(run.command for run in stopped if run.why == why)}"
    is_unseen = bool(runs) and len(stopped) == len(runs)
    return make_result(
        context,
        GateName.CHECKS,
        failures=[f"{run.command}: {line}" for run in runs for line in run.new],
        unseen=[
            f"{run.command}: {run.why}" for run in runs if run.verdict is GateVerdict.COULD_NOT_LOOK
        ],
        good=good,
        not_applicable="no checks are declared" if not runs else good if is_unseen else "",
        evidence=ChecksEvidence(checks=tuple(runs)),
    )


def _run(context: GateContext, target: Target, command: str) -> CheckRun:
    """Run one check; what it finds on the base as well does not count against the change."""
    now = context.bench.check(context.tree, command, target)
    outcome = CheckRun(target=target.name, command=command, verdict=GateVerdict.PASSED)
    if now.code == 0 and not now.problem:
        return outcome
    before = context.bench.check(context.base_tree, command, target)
    if (why := why_not_looked(now)) and (now.problem or why_not_looked(before)):
        return replace(outcome, verdict=GateVerdict.COULD_NOT_LOOK, why=why)
    if before.code == 0 or why_not_looked(before):
        new = findings(now.output) or [f"exit status {now.code}: {excerpt(now.output)}"]
        return replace(outcome, verdict=GateVerdict.FAILED, new=tuple(new))
    lines = findings(now.output)
    if not lines:
        why = "fails on the base too and prints nothing here, so nothing could be compared"
        return replace(outcome, verdict=GateVerdict.NOT_APPLICABLE, known=1, why=why)
    moved = _renamed(context, target)
    new = new_findings(
        lines,
        findings(before.output),
        lambda path: _text(context, target, context.tree, path),
        lambda path: _text(context, target, context.base_tree, path),
        moved,
    )
    known = max(1, len(lines) - len(new))
    if new:
        return replace(outcome, verdict=GateVerdict.FAILED, new=tuple(new), known=known)
    if _STEPS.search(command) or " && " in command:
        why = "stopped early, the rest was not looked at"
        return replace(outcome, verdict=GateVerdict.NOT_APPLICABLE, known=known, why=why)
    return replace(outcome, known=known)


def _renamed(context: GateContext, target: Target) -> dict[str, str]:
    """Return the files that were renamed: new path -> old path, from the folder checks run in."""
    changes = context.store.diff(context.base_tree, context.tree)
    gone = {
        one.path: _lines(context, context.base_tree, one) for one in changes if one.status == "D"
    }
    moved: dict[str, str] = {}
    for one in changes:
        if one.status != "A" or not gone:
            continue
        lines = _lines(context, context.tree, one)
        alike = {
            path: SequenceMatcher(None, old, lines, autojunk=False).ratio()
            for path, old in gone.items()
            if path not in moved.values()
        }
        best = max(alike, key=lambda path: alike[path], default="")
        if best and alike[best] >= _ALIKE:
            moved[one.path] = best
    inside = f"{target.folder}/" if target.folder else ""
    return moved | {
        new.removeprefix(inside): old.removeprefix(inside) for new, old in moved.items()
    }


def _lines(context: GateContext, tree: str, change: TreeChange) -> list[str]:
    data = context.store.read(tree, change.path) or b""
    return data.decode(errors="replace").splitlines()


def _text(context: GateContext, target: Target, tree: str, path: str) -> str:
    """Return a file that a checker names, from the folder it runs in or from the root."""
    inside = f"{target.folder}/{path}" if target.folder else path
    data = context.store.read(tree, inside) or context.store.read(tree, path) or b""
    return data.decode(errors="replace")
