"""Gates: what the engine finds out itself, on an exact tree.

A table from name to `module:function`.
"""

from importlib import import_module

from pipeline.core.events import GateResult
from pipeline.gates.base import GateContext
from pipeline.language.flow import GateName

TABLE = {
    GateName.RED: "pipeline.gates.red:check",
    GateName.GREEN: "pipeline.gates.green:check",
    GateName.PROOF: "pipeline.gates.proof:check",
    GateName.CHECKS: "pipeline.gates.checks:check",
    GateName.UNTAMPERED: "pipeline.gates.untampered:check",
    GateName.FINDINGS: "pipeline.gates.findings:check",
}


def check(gate: GateName, context: GateContext) -> GateResult:
    """Run one gate. Raises `Problem` only when the gate itself cannot be run."""
    module, _, function = TABLE[gate].partition(":")
    result: GateResult = getattr(import_module(module), function)(context)
    return result
