import asyncio

from app.later import later


def test_later():
    assert asyncio.run(later(2)) == 4
