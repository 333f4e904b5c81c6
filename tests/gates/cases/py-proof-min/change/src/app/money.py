def add(a, b):
    return a + b


def share(total, parts):
    return total / parts


def first(items):
    return items[0]


def half(a):
    if a < 0:
        raise ValueError(a)
    return a // 2
