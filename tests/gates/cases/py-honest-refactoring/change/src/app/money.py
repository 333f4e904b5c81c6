def add(a, b):
    total = a
    total += b
    return total


def share(total, parts):
    return total / parts


def first(items):
    return items[0]


def double(a):
    return 2 * a
