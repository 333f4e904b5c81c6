"""The gates by name: a table from name to `module:function`, and the one way to run a gate."""

from importlib import import_module

from pipeline.core.evidence import GateResult, GateVerdict
from pipeline.errors import Busy, Interrupted, Problem
from pipeline.gates.base import GateContext
from pipeline.language.flow import GateName

TABLE = {
    GateName.RED: "pipeline.gates.red:check",
    GateName.GREEN: "pipeline.gates.green:check",
    GateName.PROOF: "pipeline.gates.proof:check",
    GateName.NOTICED: "pipeline.gates.noticed:check",
    GateName.CHECKS: "pipeline.gates.checks:check",
    GateName.UNTAMPERED: "pipeline.gates.untampered:check",
    GateName.DOCUMENTS: "pipeline.gates.documents:check",
    GateName.FINDINGS: "pipeline.gates.findings:check",
}


def check(gate: GateName, context: GateContext) -> GateResult:
    """Run one gate; if it has a problem of its own, the verdict is that it could not look.

    Raises `Busy` and `Interrupted`: then the gate has not run yet, and will be run later.
    """
    module, _, function = TABLE[gate].partition(":")
    try:
        result: GateResult = getattr(import_module(module), function)(context)
    except (Busy, Interrupted):  # a disk that is full is no finding of a gate either
        raise
    except Problem as exc:
        return GateResult(
            gate=gate,
            verdict=GateVerdict.COULD_NOT_LOOK,
            tree=context.tree,
            detail=exc.what,
            failures=(exc.what,),
        )
    return result
