"""Positions: what an account holds of one instrument."""

from dataclasses import dataclass


@dataclass
class Position:
    """Contracts held (negative when sold short) and their average price."""

    instrument: str
    contracts: int = 0
    average_price: float = 0.0

    def apply(self, contracts: int, price: float) -> None:
        """Take a fill in; the average moves only when the position grows."""
        after = self.contracts + contracts
        if self.contracts * contracts >= 0 and after != 0:
            total = self.average_price * abs(self.contracts) + price * abs(contracts)
            self.average_price = total / abs(after)
        elif after == 0:
            self.average_price = 0.0
        elif abs(contracts) > abs(self.contracts):
            self.average_price = price
        self.contracts = after
