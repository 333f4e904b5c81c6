"""Gate `checks`: the repository's own formatter, linter and type checker find nothing new.

A command that fails on the tree is run on the base as well, and what it finds there too does not
count against the change. A check that could not look has not passed: its tool is missing, or it
stopped at an old finding before it came to the new ones.
"""

import re

from msgspec.structs import replace

from pipeline.core.evidence import CheckRun, ChecksEvidence, GateResult, GateVerdict
from pipeline.core.excerpt import excerpt
from pipeline.gates.base import GateContext, make_result
from pipeline.gates.checker_output import findings, new_findings, parts_of, why_not_looked
from pipeline.language.flow import GateName
from pipeline.language.target import Target

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
    stopped = [run.command for run in runs if run.verdict is GateVerdict.NOT_APPLICABLE]
    good = f"{len(runs) - len(stopped)} check(s) found nothing new"
    good += f"; {known} finding(s) were there before" if known else ""
    good += f"; stopped early, the rest was not looked at: {', '.join(stopped)}" if stopped else ""
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
    new = new_findings(
        lines,
        findings(before.output),
        lambda path: _text(context, target, context.tree, path),
        lambda path: _text(context, target, context.base_tree, path),
    )
    known = max(1, len(lines) - len(new))
    if new:
        return replace(outcome, verdict=GateVerdict.FAILED, new=tuple(new), known=known)
    if _STEPS.search(command) or " && " in command:
        why = "it fails on the base already, and may stop there"
        return replace(outcome, verdict=GateVerdict.NOT_APPLICABLE, known=known, why=why)
    return replace(outcome, known=known)


def _text(context: GateContext, target: Target, tree: str, path: str) -> str:
    """Return a file that a checker names, from the folder it runs in or from the root."""
    inside = f"{target.folder}/{path}" if target.folder else path
    data = context.store.read(tree, inside) or context.store.read(tree, path) or b""
    return data.decode(errors="replace")
