import asyncio


async def later(a):
    await asyncio.sleep(0)
    return 2 * a
