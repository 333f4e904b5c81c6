"""Gate `findings`: reviewers answer with data, and only findings with a location count.

A finding whose file is not in the tree, or has no such line, is dropped. Blocking findings send the
work back; in the last round of a loop they stand, and the pull request shows them. If findings are
missing or cannot be read, the gate does not pass.
"""

from pathlib import Path

import msgspec

from pipeline.core.evidence import FindingsEvidence, GateResult
from pipeline.gates.base import GateContext, make_result
from pipeline.language.flow import GateName
from pipeline.language.schemas import Finding, Findings, Severity


def check(context: GateContext) -> GateResult:
    """Read the reviewers' findings and keep those with a valid location."""
    kept: list[Finding] = []
    dropped = 0
    unread = [] if context.findings else ["no reviewer has delivered findings"]
    for path in context.findings:
        reported = _read(path)
        if reported is None:
            unread.append(f"the findings in {path.name} cannot be read")
        for finding in reported or ():
            if _is_located(context, finding):
                kept.append(finding)
            else:
                dropped += 1
    blocking = tuple(one for one in kept if _blocks(one))
    minor = tuple(one for one in kept if not _blocks(one))
    good = f"{len(kept)} finding(s), {len(blocking)} blocking"
    good += f"; {dropped} without a location dropped" if dropped else ""
    return make_result(
        context,
        GateName.FINDINGS,
        failures=() if context.is_last_round else [str(finding) for finding in blocking],
        unseen=unread,
        good=good,
        evidence=FindingsEvidence(blocking=blocking, minor=minor, dropped=dropped),
    )


def _blocks(finding: Finding) -> bool:
    """Return whether a finding blocks: what its reviewer cannot make fail is a remark."""
    return finding.severity is Severity.BLOCKING and bool(finding.fails_when.strip())


def _read(path: Path) -> tuple[Finding, ...] | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Findings).findings
    except (OSError, msgspec.DecodeError):
        return None


def _is_located(context: GateContext, finding: Finding) -> bool:
    text = context.store.read(context.tree, finding.file)
    return text is not None and 1 <= finding.line <= max(1, text.count(b"\n") + 1)
