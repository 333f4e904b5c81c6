"""Accounts: the positions of one person."""

from trading.orders import Order
from trading.positions import Position


class Account:
    """One person's positions, by instrument."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._positions: dict[str, Position] = {}

    def position(self, instrument: str) -> Position:
        """Return the position in an instrument; an empty one if there is none."""
        return self._positions.setdefault(instrument, Position(instrument))

    def fill(self, order: Order) -> Position:
        """Take a filled order in and return the position after it."""
        position = self.position(order.instrument)
        position.apply(order.signed, order.price)
        return position
