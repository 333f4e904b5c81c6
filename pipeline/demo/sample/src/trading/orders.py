"""Orders: what somebody wants to buy or sell."""

from dataclasses import dataclass
from enum import Enum


class Side(Enum):
    """Buy or sell; the value is the sign of the position change."""

    BUY = 1
    SELL = -1


class OrderRejected(Exception):
    """An order that is not taken; the message says why."""


@dataclass(frozen=True)
class Order:
    """An order for a number of contracts of one instrument."""

    instrument: str
    side: Side
    contracts: int
    price: float

    def __post_init__(self) -> None:
        if self.contracts <= 0:
            raise OrderRejected(f"an order needs at least one contract, not {self.contracts}")

    @property
    def signed(self) -> int:
        """Contracts with their sign: positive for a purchase."""
        return self.side.value * self.contracts
