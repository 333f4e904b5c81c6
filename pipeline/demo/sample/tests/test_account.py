import pytest

from trading import Account, Order, OrderRejected, Side


def test_a_purchase_opens_a_position():
    account = Account("alice")
    account.fill(Order("ES", Side.BUY, 2, 5000.0))
    assert account.position("ES").contracts == 2
    assert account.position("ES").average_price == 5000.0


def test_the_average_price_moves_with_a_second_purchase():
    account = Account("alice")
    account.fill(Order("ES", Side.BUY, 1, 5000.0))
    account.fill(Order("ES", Side.BUY, 1, 5010.0))
    assert account.position("ES").average_price == 5005.0


def test_a_sale_closes_a_position():
    account = Account("alice")
    account.fill(Order("ES", Side.BUY, 2, 5000.0))
    account.fill(Order("ES", Side.SELL, 2, 5020.0))
    assert account.position("ES").contracts == 0
    assert account.position("ES").average_price == 0.0


def test_a_larger_sale_turns_the_position_around():
    account = Account("alice")
    account.fill(Order("ES", Side.BUY, 1, 5000.0))
    account.fill(Order("ES", Side.SELL, 3, 5020.0))
    assert account.position("ES").contracts == -2
    assert account.position("ES").average_price == 5020.0


def test_an_order_without_contracts_is_rejected():
    with pytest.raises(OrderRejected, match="at least one contract"):
        Order("ES", Side.BUY, 0, 5000.0)
