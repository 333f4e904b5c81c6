"""What a run may cost: reserved before an attempt starts, settled when it is over.

An attempt that does not say what it cost is taken to have cost what was reserved for it.
"""

import msgspec

from pipeline.core.events import LimitsRaised, StageFinished
from pipeline.core.retry import rule_of
from pipeline.language.flow import StageLimits
from pipeline.language.plan import Kind, Node, Plan


class Budget(msgspec.Struct):
    """The limits of a run, what is charged against them, and what running attempts have reserved.

    What is charged is not what was paid: an attempt that reports no cost is charged what was
    reserved.
    """

    usd: float | None = None
    tokens: int | None = None
    wall_s: float | None = None
    spent_usd: float = 0.0
    spent_tokens: int = 0
    reserved: dict[str, StageLimits] = {}

    def raise_to(self, event: LimitsRaised) -> None:
        """Take other limits."""
        self.usd = self.usd if event.usd is None else event.usd
        self.tokens = self.tokens if event.tokens is None else event.tokens
        self.wall_s = self.wall_s if event.wall_s is None else event.wall_s

    def reserve(self, node: Node) -> None:
        """Set aside what an attempt of this stage may cost."""
        if node.kind is Kind.AGENT:
            self.reserved[node.id] = node.limits

    def settle(self, event: StageFinished) -> None:
        """Put what an attempt did cost in the place of what was reserved for it."""
        reserved = self.reserved.pop(event.stage, StageLimits())
        if event.inherited:
            return
        rule, usage = rule_of(event.outcome, event.kind, event.stop), event.usage
        if usage.cost_usd is not None:
            self.spent_usd += usage.cost_usd
        elif rule.keeps_reserve:
            self.spent_usd += reserved.usd or 0.0
        counts = [count for count in (usage.input_tokens, usage.output_tokens) if count is not None]
        if counts:
            self.spent_tokens += sum(counts)
        elif rule.keeps_reserve:
            self.spent_tokens += reserved.tokens or 0

    def refusal(self, node: Node) -> str:
        """Return why there is no budget for an attempt of this stage; empty when there is."""
        if node.kind is not Kind.AGENT:
            return ""
        usd = sum(limits.usd or 0.0 for limits in self.reserved.values())
        if self.usd is not None and not _fits(
            self.usd, self.spent_usd, usd, node.limits.usd or 0.0
        ):
            return _refusal(
                node,
                "USD",
                f"{self.usd:.2f}",
                f"{self.spent_usd:.2f}",
                f"{usd:.2f}",
                node.limits.usd,
            )
        tokens = sum(limits.tokens or 0 for limits in self.reserved.values())
        if self.tokens is not None and not _fits(
            self.tokens, self.spent_tokens, tokens, node.limits.tokens or 0
        ):
            return _refusal(
                node,
                "tokens",
                str(self.tokens),
                str(self.spent_tokens),
                str(tokens),
                node.limits.tokens,
            )
        return ""


def _fits(limit: float, spent: float, reserved: float, wanted: float) -> bool:
    return spent < limit and spent + reserved + wanted <= limit


def _refusal(
    node: Node, unit: str, limit: str, spent: str, reserved: str, wanted: float | None
) -> str:
    more = f", {node.id} reserves {wanted:g}" if wanted else ""
    held = f", {reserved} reserved by what runs" if float(reserved) else ""
    return f"the run's limit is {limit} {unit}: {spent} spent{held}{more}"


def budget_of(plan: Plan) -> Budget:
    """Start with nothing spent."""
    return Budget(usd=plan.usd, tokens=plan.tokens, wall_s=plan.wall_s, reserved={})
