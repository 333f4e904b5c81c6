def add(a, b):
    return a + b


def first(items):
    return items[0]


class Made:
    def __init__(self, a):
        self.double = 2 * a


async def make(a):
    return Made(a)
