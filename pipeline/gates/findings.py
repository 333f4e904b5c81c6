"""Gate `findings`: reviewers answer with data, and only what has a place counts.

A finding without a file of the tree, or with a line that the file does not have, is dropped.
Blocking findings send the work back; in the last round of a loop they stand, and the pull request
shows them. Findings that are not there or cannot be read are no answer: then the gate does not
pass.
"""

from pathlib import Path

import msgspec

from pipeline.core.evidence import FindingsEvidence, GateResult
from pipeline.gates.base import GateContext, judged
from pipeline.language.flow import GateName
from pipeline.language.schemas import Finding, Findings, Severity


def check(context: GateContext) -> GateResult:
    """Read the reviewers' findings and keep those that point at something."""
    kept: list[Finding] = []
    dropped = 0
    unread = [] if context.findings else ["nobody has delivered findings"]
    for path in context.findings:
        found = _read(path)
        if found is None:
            unread.append(f"the findings in {path.name} cannot be read")
        for finding in found or ():
            if _has_place(context, finding):
                kept.append(finding)
            else:
                dropped += 1
    blocking = tuple(one for one in kept if one.severity is Severity.BLOCKING)
    minor = tuple(one for one in kept if one.severity is not Severity.BLOCKING)
    good = f"{len(kept)} finding(s), {len(blocking)} blocking"
    good += f"; {dropped} without a place dropped" if dropped else ""
    return judged(
        context,
        GateName.FINDINGS,
        failures=() if context.is_last_round else [str(finding) for finding in blocking],
        unseen=unread,
        good=good,
        evidence=FindingsEvidence(blocking=blocking, minor=minor, dropped=dropped),
    )


def _read(path: Path) -> tuple[Finding, ...] | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Findings).findings
    except (OSError, msgspec.DecodeError):
        return None


def _has_place(context: GateContext, finding: Finding) -> bool:
    text = context.store.read(context.tree, finding.file)
    return text is not None and 1 <= finding.line <= max(1, text.count(b"\n") + 1)
