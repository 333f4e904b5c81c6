"""Accounts, orders and positions of a small trading desk."""

from trading.account import Account
from trading.orders import Order, OrderRejected, Side
from trading.positions import Position
from trading.risk import Breach, LimitBreach, RiskMonitor

__all__ = ["Account", "Breach", "LimitBreach", "Order", "OrderRejected", "Position", "RiskMonitor", "Side"]
