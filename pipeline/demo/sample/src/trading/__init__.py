"""Accounts, orders and positions of a small trading desk."""

from trading.account import Account
from trading.orders import Order, OrderRejected, Side
from trading.positions import Position

__all__ = ["Account", "Order", "OrderRejected", "Position", "Side"]
